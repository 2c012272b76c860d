"""Who may promote what: the gate, a person, a person against the gate; and what stops them all."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from moves import BROKEN, PASSED, before_any_move, begun, four_versions, given, judged, under_way

from evergreen import brakes, promotion
from evergreen.errors import BusyError, FrozenError, ModelError, RefusedError
from evergreen.journal import bars, decisions, freezes, overrides, promotions
from evergreen.moves import history
from evergreen.overrides import Override, in_force
from evergreen.promotion import Standing, end_override, reconcile, rollback, standing
from evergreen.registry import Registry
from evergreen.releases import carry_out, override, release, waiting

END = datetime(2030, 1, 1, tzinfo=UTC)
BEFORE = END - timedelta(seconds=1)


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return four_versions(tmp_path_factory.mktemp("registered"))


@pytest.fixture
def registry(registered: Registry) -> Registry:
    """Version 1 serves."""
    given(before_any_move(registered), champion=1, previous=None, anchor=1)
    return registered


def overrule(registry: Registry, version: int = 2, *, expires: datetime = END, reason: str = "known and harmless") -> Override:
    return override(registry, version, reason=reason, person="Ada", expires=expires)


def freeze(registry: Registry) -> bool:
    return brakes.freeze(registry.journal, root=registry.settings.root, reason="audit", person="Grace")


def unfreeze(registry: Registry) -> bool:
    return brakes.unfreeze(registry.journal, root=registry.settings.root, reason="audit is over", person="Grace")


def kinds(registry: Registry) -> list[tuple[str, int, str]]:
    rows = registry.journal.rows(promotions)
    return [(row["kind"], row["version"], row["state"]) for row in rows if row["promotion"] != "earlier"]


def tag(registry: Registry, version: int) -> str | None:
    return registry._client.get_model_version(registry.problem.name, str(version)).tags.get("override")


def test_a_person_may_have_a_refused_version_serve_for_a_time(registry: Registry):
    judged(registry, 2, "reject", **PASSED, baseline="pass", leakage="reject", size="hold")
    word = overrule(registry)
    assert standing(registry.journal) == Standing(2, 1, 1)  # the anchor stays
    assert registry.aliases() == {"champion": 2, "previous": 1, "anchor": 1}
    assert in_force(registry.journal, 2) == word
    assert (word.checks, word.verdict, word.reason, word.person, word.expires) == (
        ("leakage", "size"),
        "reject",
        "known and harmless",
        "Ada",
        END,
    )
    assert kinds(registry) == [("override", 2, "intent"), ("override", 2, "done")]
    assert tag(registry, 2) == word.sentence


def test_an_overridden_first_model_is_the_anchor_for_there_is_none(registered: Registry):
    judged(before_any_move(registered), 2, "reject", champion=None, **PASSED)
    overrule(registered)
    assert standing(registered.journal) == Standing(2, None, 2)


def test_the_same_override_again_records_nothing_and_another_end_replaces_the_first(registry: Registry):
    judged(registry, 2, "reject", **PASSED)
    overrule(registry)
    overrule(registry)
    assert len(registry.journal.rows(overrides)) == 1
    longer = overrule(registry, expires=END + timedelta(days=9))
    assert [row["expires"][:10] for row in registry.journal.rows(overrides)] == ["2030-01-01", "2030-01-10"]
    assert kinds(registry) == [("override", 2, "intent"), ("override", 2, "done")]
    assert tag(registry, 2) == longer.sentence
    assert end_override(registry, now=END) is None


@pytest.mark.parametrize("verdict", ["hold", "promote"])
def test_what_the_gate_does_not_refuse_needs_no_override(registry: Registry, verdict: str):
    judged(registry, 2, verdict, **PASSED)
    with pytest.raises(RefusedError, match=f"was judged {verdict.upper()}, which needs no override.*evergreen promote 2 --reason"):
        overrule(registry)
    assert kinds(registry) == []


@pytest.mark.parametrize("check", ["finite", "parity", "hygiene"])
@pytest.mark.parametrize("outcome", ["hold", "reject", "error"])
def test_a_version_that_is_not_sound_cannot_be_overridden(registry: Registry, check: str, outcome: str):
    judged(registry, 2, "reject", **{**PASSED, check: outcome})
    with pytest.raises(RefusedError, match=f"Version 2 cannot be overridden: its check {check} says {outcome.upper()}; expected PASS"):
        overrule(registry)
    assert kinds(registry) == []


@pytest.mark.parametrize("check", ["finite", "parity", "hygiene"])
def test_a_record_without_that_check_cannot_be_overridden(registry: Registry, check: str):
    judged(registry, 2, "reject", **{name: outcome for name, outcome in PASSED.items() if name != check})
    with pytest.raises(RefusedError, match=f"its check {check} was not judged"):
        overrule(registry)


def test_of_two_findings_of_a_check_both_must_pass(registry: Registry):
    record = judged(registry, 2, "reject", **PASSED)
    again = judged(registry, 2, "hold")  # what counts is the newest decision
    with pytest.raises(RefusedError, match="was judged HOLD"):
        overrule(registry)
    record["findings"].append({"check": "parity", "outcome": "reject"})
    row = {"decision": "twice", "training_key": "k", "inputs": "i", "snapshot": "s", "data_time": "t", "candidate": 2, "champion": 1}
    registry.journal.add(decisions, **row, verdict="reject", record=record | {"decision": "twice"})
    with pytest.raises(RefusedError, match="its check parity says PASS, REJECT"):
        overrule(registry)
    assert again["verdict"] == "hold"


def test_what_was_never_judged_is_neither_released_nor_overridden(registry: Registry):
    for attempt in (lambda: overrule(registry), lambda: release(registry, 2, reason="r", person="Ada")):
        with pytest.raises(RefusedError, match="Version 2 has not been judged"):
            attempt()


def test_a_refused_version_is_not_released_and_the_override_is_named(registry: Registry):
    judged(registry, 2, "reject", **PASSED)
    with pytest.raises(RefusedError, match=r"was judged REJECT; one that was judged HOLD or PROMOTE.*evergreen promote 2 --override"):
        release(registry, 2, reason="r", person="Ada")
    assert kinds(registry) == []


@pytest.mark.parametrize("verdict", ["hold", "promote"])
def test_a_held_version_is_released(registry: Registry, verdict: str):
    judged(registry, 2, verdict)
    release(registry, 2, reason="r", person="Ada")
    assert standing(registry.journal) == Standing(2, 1, 1)
    assert in_force(registry.journal, 2) is None


def test_what_serves_by_another_word_cannot_be_overridden(registry: Registry):
    judged(registry, 1, "reject", champion=None, **PASSED)
    with pytest.raises(RefusedError, match="Version 1 serves already, and not by an override"):
        overrule(registry, 1)
    assert registry.journal.rows(overrides) == []


def test_an_override_of_a_version_that_does_not_verify_leaves_everything(registry: Registry):
    judged(registry, BROKEN, "reject", **PASSED)
    with pytest.raises(ModelError, match="golden rows"):
        overrule(registry, BROKEN)
    assert standing(registry.journal) == Standing(1, None, 1)
    assert in_force(registry.journal, 1) is None
    assert tag(registry, BROKEN) is None


def test_an_override_that_was_cut_short_is_finished_with_its_tag(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    judged(registry, 2, "reject", **PASSED)
    with monkeypatch.context() as killed:
        killed.setattr(promotion, "_finish", lambda *_: None)
        overrule(registry)
    assert kinds(registry) == [("override", 2, "intent")]
    assert in_force(registry.journal, 1) is None
    assert len(registry.journal.rows(overrides)) == 1  # in one transaction with the intent
    assert reconcile(registry) == ["Finished the override to version 2 that was cut short."]
    assert tag(registry, 2) == in_force(registry.journal, 2).sentence


def test_an_expired_override_ends_in_a_rollback_that_says_so(registry: Registry):
    judged(registry, 2, "reject", **PASSED)
    overrule(registry)
    assert end_override(registry, now=BEFORE) is None
    assert standing(registry.journal).champion == 2
    ending = end_override(registry, now=END)
    assert (ending.override.version, ending.back_to) == (2, 1)
    assert standing(registry.journal) == Standing(1, 2, 1)
    last = history(registry.journal)[-1]
    assert (last["kind"], last["person"]) == ("rollback", "expiry")
    assert last["reason"].startswith("the override of version 2 by Ada (known and harmless) expired")
    assert brakes.barred(registry.journal) == {2}
    assert end_override(registry, now=END) is None


def test_an_override_that_was_followed_by_another_champion_needs_no_end(registry: Registry):
    judged(registry, 2, "reject", **PASSED)
    overrule(registry)
    carry_out(registry, judged(registry, 3, "promote", champion=2))
    assert end_override(registry, now=END) is None
    assert standing(registry.journal).champion == 3


def test_an_override_prolonged_while_its_end_waits_for_the_lock_goes_on(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    judged(registry, 2, "reject", **PASSED)
    overrule(registry)
    settle = promotion._settle

    def meanwhile(found: Registry) -> list[str]:
        monkeypatch.setattr(promotion, "_settle", settle)
        promotion._prolong(found, word)
        return settle(found)

    word = Override(2, "decision 0", "reject", (), "known and harmless", "Ada", END + timedelta(days=1))
    monkeypatch.setattr(promotion, "_settle", meanwhile)
    assert end_override(registry, now=END) is None
    assert standing(registry.journal).champion == 2


def test_an_expired_override_goes_back_past_what_is_barred(registry: Registry):
    judged(registry, 2, "reject", **PASSED)
    overrule(registry)
    carry_out(registry, judged(registry, 3, "promote", champion=2))
    rollback(registry, reason="worse", person="Ada")  # to version 2; version 3 is barred
    assert end_override(registry, now=END).back_to == 1
    assert standing(registry.journal).champion == 1


def test_an_expired_override_goes_back_past_another_override(registry: Registry):
    judged(registry, 2, "reject", **PASSED)
    overrule(registry)
    judged(registry, 3, "reject", champion=2, **PASSED)
    override(registry, 3, reason="known and harmless", person="Ada", expires=END)
    assert end_override(registry, now=END).back_to == 1
    assert standing(registry.journal).champion == 1


def test_without_a_way_back_an_expired_override_goes_on_serving(registry: Registry):
    judged(registry, 2, "reject", **PASSED)
    overrule(registry)
    registry.journal.add(bars, event="planted", version=1, barred=True, reason="complaints", person="Ada")
    assert end_override(registry, now=END) is None
    assert standing(registry.journal).champion == 2


def test_an_end_that_is_set_back_to_what_it_was_counts(registry: Registry):
    judged(registry, 2, "reject", **PASSED)
    for day in (5, 30, 5):
        override(registry, 2, reason="known and harmless", person="Ada", expires=END + timedelta(days=day))
    assert in_force(registry.journal, 2).expires == END + timedelta(days=5)


def test_an_expired_override_whose_way_back_does_not_verify_says_why(registry: Registry):
    given(registry, champion=BROKEN, previous=1, anchor=1, move="earlier still")
    judged(registry, 2, "reject", champion=BROKEN, **PASSED)
    overrule(registry)
    ending = end_override(registry, now=END)
    assert ending.back_to is None
    assert "does not reproduce its golden rows" in ending.hindrance
    assert standing(registry.journal).champion == 2


def test_a_barred_version_is_promoted_by_nobody_until_it_is_freed(registry: Registry):
    judged(registry, 2, "hold")
    release(registry, 2, reason="r", person="Ada")
    rollback(registry, reason="calls doubled", person="Grace")
    with pytest.raises(RefusedError, match="Version 2 is barred since it was rolled back from"):
        release(registry, 2, reason="r", person="Ada")
    carry_out(registry, judged(registry, 2, "promote"))
    judged(registry, 2, "reject", **PASSED)
    with pytest.raises(RefusedError, match="Version 2 is barred since it was rolled back from"):
        overrule(registry)
    assert standing(registry.journal).champion == 1
    brakes.unbar(registry.journal, 2, reason="mended", person="Grace")
    overrule(registry)
    assert standing(registry.journal).champion == 2


def test_while_frozen_nobody_promotes_and_rolling_back_is_possible(registry: Registry):
    given(registry, champion=2, previous=1, anchor=1, move="later")
    given_moves = kinds(registry)
    assert freeze(registry)
    judged(registry, 3, "hold", champion=2)
    with pytest.raises(
        FrozenError, match=r"Version 3 is not promoted: promotions are frozen since .* by Grace \(audit\)\. Resume.*unfreeze"
    ):
        release(registry, 3, reason="r", person="Ada")
    judged(registry, 3, "reject", champion=2, **PASSED)
    with pytest.raises(FrozenError, match="frozen"):
        overrule(registry, 3)
    carry_out(registry, judged(registry, 3, "promote", champion=2))
    assert kinds(registry) == given_moves
    assert rollback(registry, reason="worse", person="Ada") == 1


def test_while_frozen_an_override_is_not_prolonged_and_still_ends(registry: Registry):
    judged(registry, 2, "reject", **PASSED)
    overrule(registry)
    freeze(registry)
    with pytest.raises(FrozenError, match="frozen"):
        overrule(registry, expires=END + timedelta(days=9))
    assert end_override(registry, now=END).back_to == 1


def test_a_promote_that_waited_is_carried_out_once_when_the_freeze_is_over(registry: Registry):
    freeze(registry)
    record = judged(registry, 2, "promote")
    carry_out(registry, record)
    assert waiting(registry.journal) == record
    unfreeze(registry)
    assert waiting(registry.journal) == record
    carry_out(registry, record)
    carry_out(registry, record)
    assert kinds(registry) == [("promotion", 2, "intent"), ("promotion", 2, "done")]
    assert standing(registry.journal).anchor == 2  # as its verdict said
    assert waiting(registry.journal) is None


def test_only_the_newest_promote_waits_and_only_while_its_champion_serves(registry: Registry):
    assert waiting(registry.journal) is None
    judged(registry, 2, "promote")
    newest = judged(registry, 3, "promote")
    judged(registry, 3, "hold")
    assert waiting(registry.journal) == newest
    given(registry, champion=2, previous=1, anchor=1, move="a person's")
    assert waiting(registry.journal) is None


def test_what_was_promoted_before_or_does_not_verify_does_not_wait(registry: Registry):
    judged(registry, 2, "hold")
    release(registry, 2, reason="r", person="Ada")
    rollback(registry, reason="worse", person="Ada")
    judged(registry, 2, "promote")
    assert waiting(registry.journal) is None  # barred
    brakes.unbar(registry.journal, 2, reason="mended", person="Ada")
    assert waiting(registry.journal) is None  # a person has taken it back
    broken = judged(registry, BROKEN, "promote")
    assert waiting(registry.journal) == broken
    with pytest.raises(ModelError, match="golden rows"):
        carry_out(registry, broken)
    assert waiting(registry.journal) is None


def test_freezing_and_resuming_twice_records_nothing_twice(registry: Registry):
    assert not unfreeze(registry)
    assert brakes.frozen(registry.journal) is None
    assert [freeze(registry), freeze(registry)] == [True, False]
    assert (brakes.frozen(registry.journal)["reason"], brakes.frozen(registry.journal)["person"]) == ("audit", "Grace")
    assert [unfreeze(registry), unfreeze(registry)] == [True, False]
    assert freeze(registry)
    assert [row["frozen"] for row in registry.journal.rows(freezes)] == [True, False, True]


def test_a_move_begun_before_the_freeze_is_finished(registry: Registry):
    begun(registry, 2, champion=1, anchor=1)
    freeze(registry)
    assert reconcile(registry) == ["Finished the promotion to version 2 that was cut short."]
    assert standing(registry.journal).champion == 2


def test_a_freeze_waits_for_the_move_that_is_under_way(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(brakes, "WAIT_SECONDS", 0.2)
    with under_way(registry.journal), pytest.raises(BusyError, match="busy with a promotion"):
        freeze(registry)
    assert brakes.frozen(registry.journal) is None


def test_a_freeze_that_comes_while_a_promotion_waits_for_its_turn_stops_it(registry: Registry):
    judged(registry, 2, "hold")
    refused: list[str] = []

    def try_to_release() -> None:
        try:
            release(registry, 2, reason="r", person="Ada")
        except FrozenError as error:
            refused.append(str(error))

    with under_way(registry.journal):
        late = threading.Thread(target=try_to_release)
        late.start()
        late.join(0.3)  # by now it stands before the lock
        registry.journal.add(freezes, event="e", frozen=True, reason="audit", person="Grace")
    late.join(60)
    assert len(refused) == 1
    assert standing(registry.journal).champion == 1
