from pathlib import Path

import pytest
from candidates import toy_candidate, toy_registry
from moves import BROKEN, before_any_move, begun, four_versions, given, under_way

from evergreen.brakes import barred, unbar
from evergreen.errors import BusyError, ModelError, RefusedError, RegistryError, StoreError
from evergreen.journal import bars, promotions
from evergreen.moves import history, unfinished
from evergreen.promotion import (
    Standing,
    Word,
    promote,
    reconcile,
    restore_aliases,
    rollback,
    standing,
)
from evergreen.registry import Registry


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return four_versions(tmp_path_factory.mktemp("registered"))


@pytest.fixture
def registry(registered: Registry) -> Registry:
    return before_any_move(registered)


def move(registry: Registry, version: int, expected: int | None, *, rebase: bool = False) -> None:
    promote(registry, version, Word("promotion", "cheaper", "gate"), expected_champion=expected, rebase_anchor=rebase)


def states(registry: Registry) -> list[tuple[str, int]]:
    return [(row["state"], row["version"]) for row in registry.journal.rows(promotions) if row["promotion"] != "earlier"]


def test_the_first_champion_is_the_anchor_and_has_none_before_it(registry: Registry):
    move(registry, 1, None)
    assert registry.aliases() == {"champion": 1, "anchor": 1}
    assert standing(registry.journal) == Standing(1, None, 1)
    assert states(registry) == [("intent", 1), ("done", 1)]


@pytest.mark.parametrize(("rebase", "anchor"), [(False, 1), (True, 2)])
def test_a_later_champion_keeps_the_one_before_and_moves_the_anchor_only_when_told(registry: Registry, rebase: bool, anchor: int):
    given(registry, champion=1, previous=None, anchor=1)
    move(registry, 2, 1, rebase=rebase)
    assert registry.aliases() == {"champion": 2, "previous": 1, "anchor": anchor}
    assert standing(registry.journal) == Standing(2, 1, anchor)


def test_promoting_the_champion_again_changes_nothing(registry: Registry):
    given(registry, champion=2, previous=1, anchor=1)
    move(registry, 2, 1)
    assert states(registry) == []
    assert registry.aliases() == {"champion": 2, "previous": 1, "anchor": 1}


def test_a_champion_that_moved_meanwhile_refuses_the_promotion(registry: Registry):
    given(registry, champion=2, previous=1, anchor=1)
    with pytest.raises(RefusedError, match="Version 3 was judged against version 1, but the champion is version 2 by now"):
        move(registry, 3, 1)
    assert registry.aliases()["champion"] == 2
    assert states(registry) == []


def test_a_version_that_does_not_reproduce_its_golden_rows_is_not_promoted(registry: Registry):
    given(registry, champion=1, previous=None, anchor=1)
    with pytest.raises(ModelError, match="does not reproduce its golden rows"):
        move(registry, BROKEN, 1)
    assert registry.aliases() == {"champion": 1, "anchor": 1}
    assert states(registry) == [("intent", BROKEN), ("undone", BROKEN)]
    assert reconcile(registry) == []


def test_an_unknown_version_is_not_promoted(registry: Registry):
    with pytest.raises(RegistryError, match="no version 9"):
        move(registry, 9, None)
    assert unfinished(registry.journal) is None


def test_rolling_back_swaps_and_bars_the_version_left_behind(registry: Registry):
    given(registry, champion=2, previous=1, anchor=1)
    assert rollback(registry, reason="too many call-backs", person="Ada") == 1
    assert registry.aliases() == {"champion": 1, "previous": 2, "anchor": 1}
    assert barred(registry.journal) == {2}
    with pytest.raises(RefusedError, match=r"Version 2 is barred since it was rolled back from \(too many call-backs\).*unbar 2"):
        move(registry, 2, 1)
    with pytest.raises(RefusedError, match="Version 2 is barred"):
        rollback(registry, reason="and back", person="Ada")
    assert registry.aliases()["champion"] == 1


def test_a_freed_version_may_be_promoted_again(registry: Registry):
    given(registry, champion=1, previous=2, anchor=1)
    registry.journal.add(bars, event="an earlier rollback", reason="slow", person="Ada", version=2, barred=True)
    unbar(registry.journal, 2, reason="the data was wrong, not the model", person="Ada")
    assert barred(registry.journal) == set()
    move(registry, 2, 1)
    assert registry.aliases()["champion"] == 2
    with pytest.raises(RefusedError, match="Version 2 is not barred; barred: none"):
        unbar(registry.journal, 2, reason="again", person="Ada")


def test_the_anchor_goes_back_with_a_champion_that_had_moved_it(registry: Registry):
    given(registry, champion=1, previous=None, anchor=1)
    given(registry, champion=2, previous=1, anchor=2, move="rebased")
    rollback(registry, reason="worse", person="Ada")
    assert registry.aliases()["anchor"] == 1


@pytest.mark.parametrize("champion", [None, 1])
def test_without_a_previous_version_there_is_nothing_to_roll_back_to(registry: Registry, champion: int | None):
    if champion:
        given(registry, champion=champion, previous=None, anchor=1)
    with pytest.raises(RefusedError, match=r"nothing to roll back to.*evergreen train"):
        rollback(registry, reason="worse", person="Ada")


def test_rolling_back_to_a_version_that_does_not_verify_leaves_the_champion(registry: Registry):
    given(registry, champion=2, previous=BROKEN, anchor=1)
    with pytest.raises(ModelError, match="golden rows"):
        rollback(registry, reason="worse", person="Ada")
    assert registry.aliases() == {"champion": 2, "previous": BROKEN, "anchor": 1}
    assert barred(registry.journal) == set()


@pytest.mark.parametrize("moved", [(), ("previous",), ("previous", "champion")])
def test_a_promotion_that_was_cut_short_is_finished_from_wherever_it_was(registry: Registry, moved: tuple[str, ...]):
    given(registry, champion=1, previous=None, anchor=1)
    begun(registry, 2, champion=1, anchor=1)
    for alias in moved:
        registry.set_alias(alias, {"previous": 1, "champion": 2}[alias])
    assert reconcile(registry) == ["Finished the promotion to version 2 that was cut short."]
    assert registry.aliases() == {"champion": 2, "previous": 1, "anchor": 1}
    assert states(registry) == [("intent", 2), ("done", 2)]
    assert reconcile(registry) == []


def test_a_rollback_that_was_cut_short_is_finished_with_its_bar(registry: Registry):
    given(registry, champion=2, previous=1, anchor=1)
    begun(registry, 1, champion=2, anchor=1, kind="rollback")
    assert reconcile(registry) == ["Finished the rollback to version 1 that was cut short."]
    assert barred(registry.journal) == {2}


def test_a_cut_short_promotion_of_a_version_that_does_not_verify_is_undone(registry: Registry):
    given(registry, champion=1, previous=None, anchor=1)
    begun(registry, BROKEN, champion=1, anchor=BROKEN)
    for alias, number in {"previous": 1, "champion": BROKEN, "anchor": BROKEN, "challenger": BROKEN}.items():
        registry.set_alias(alias, number)
    (said,) = reconcile(registry)
    assert said.startswith("Undid the promotion to version 4 that was cut short: Version 4 does not reproduce its golden rows")
    assert registry.aliases() == {"champion": 1, "anchor": 1}
    assert standing(registry.journal) == Standing(1, None, 1)
    assert reconcile(registry) == []


def test_a_cut_short_promotion_of_a_damaged_version_is_undone(tmp_path: Path):
    registry = toy_registry(tmp_path)
    version = registry.register(toy_candidate())
    begun(registry, 1, champion=None, anchor=1)
    registry.set_alias("champion", 1)
    (registry.folder(version) / "model.skops").unlink()
    (said,) = reconcile(registry)
    assert "is not what was registered" in said
    assert registry.aliases() == {}
    with pytest.raises(StoreError, match="is not what was registered"):
        move(registry, 1, None)


def test_the_next_promotion_first_finishes_what_was_cut_short(registry: Registry):
    given(registry, champion=1, previous=None, anchor=1)
    begun(registry, 2, champion=1, anchor=1)
    with pytest.raises(RefusedError, match="judged against version 1, but the champion is version 2 by now"):
        move(registry, 3, 1)
    assert states(registry) == [("intent", 2), ("done", 2)]


def test_a_champion_that_somebody_moved_outside_is_for_a_person_to_settle(registry: Registry):
    given(registry, champion=1, previous=None, anchor=1)
    registry.set_alias("champion", 3)
    for attempt in (reconcile, lambda registry: move(registry, 2, 1), lambda registry: rollback(registry, reason="x", person="y")):
        with pytest.raises(RegistryError, match=r"champion is on version 3, the journal says version 1.*evergreen reconcile"):
            attempt(registry)
    assert registry.aliases()["champion"] == 3
    assert restore_aliases(registry) == Standing(1, None, 1)
    assert registry.aliases() == {"champion": 1, "anchor": 1}
    assert reconcile(registry) == []


def test_other_aliases_that_somebody_moved_are_put_back(registry: Registry):
    given(registry, champion=2, previous=1, anchor=1)
    registry.set_alias("previous", 3)
    registry.set_alias("challenger", 3)
    assert reconcile(registry) == ["Put the aliases previous, anchor and challenger back to where the journal says they are."]
    assert registry.aliases() == {"champion": 2, "previous": 1, "anchor": 1}


def test_only_one_promotion_moves_at_a_time(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("evergreen.brakes.WAIT_SECONDS", 0.2)
    with under_way(registry.journal), pytest.raises(BusyError, match="busy with a promotion"):
        move(registry, 1, None)
    assert states(registry) == []


def test_the_history_tells_each_move_once_with_its_end(registry: Registry):
    given(registry, champion=1, previous=None, anchor=1)
    begun(registry, 2, champion=1, anchor=1)
    assert [(row["version"], row["state"], row["reason"]) for row in history(registry.journal)] == [
        (1, "done", "earlier"),
        (2, "intent", "cheaper"),
    ]
