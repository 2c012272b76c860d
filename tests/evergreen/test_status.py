from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from toy.data import START
from workspaces import changed, deliver_days, ingest, with_source

from evergreen import brakes
from evergreen import journal as tables
from evergreen.control import refresh_site
from evergreen.data.publishing import Order, publish
from evergreen.data.snapshots import build_frame, take_snapshot
from evergreen.monitoring.freshness import Freshness
from evergreen.overrides import Override, row_of
from evergreen.retraining import inputs_digest
from evergreen.status import current_inputs, freshness, has_new_deliveries, is_due, notices, realized_so_far
from evergreen.workspace import Workspace

TWO_DAYS = pd.Timedelta(days=2)
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def predict(files: list[tuple[Path, Path]]) -> None:
    for rows, out in files:
        pd.read_parquet(rows)[["order_id"]].assign(decision=0).to_parquet(out, index=False)


def test_a_file_waits_until_it_is_judged(empty_space: Workspace):
    assert not has_new_deliveries(empty_space)
    deliver_days(empty_space, 2)
    assert has_new_deliveries(empty_space)
    ingest(empty_space)
    assert not has_new_deliveries(empty_space)


def test_freshness_is_measured_against_the_newest_row_of_any_source(empty_space: Workspace):
    deliver_days(empty_space, 2)
    deliver_days(empty_space, 2, start=2, without=("stock", "outcomes"))
    ingest(empty_space)
    space = Workspace(empty_space.settings, with_source("stock", max_age=timedelta(days=2)), empty_space.journal)
    told = {one.source: one for one in freshness(space, NOW)}
    assert list(told) == ["orders", "stock", "outcomes"]  # customers have no time
    assert told["orders"].behind == pd.Timedelta(0)
    assert told["stock"].newest == START + pd.Timedelta(days=1, hours=6)
    assert told["stock"].behind == told["orders"].newest - told["stock"].newest
    assert told["stock"].is_stale
    assert not told["outcomes"].is_stale  # it may be as old as it likes


def test_by_the_clock_on_the_wall_a_feed_that_has_died_is_late_although_all_of_it_has(empty_space: Workspace):
    deliver_days(empty_space, 2)
    ingest(empty_space)
    problem = with_source("orders", changed(clock="wall"), max_age=timedelta(days=2))
    space = Workspace(empty_space.settings, problem, empty_space.journal)
    last = freshness(space, NOW)[0].newest
    assert last is not None
    for late, is_stale in ((timedelta(days=2), False), (timedelta(days=2, seconds=1), True)):
        (orders, *_) = freshness(space, (last + late).to_pydatetime())
        assert (orders.behind, orders.is_stale, orders.clock) == (pd.Timedelta(late), is_stale, "now")


def test_a_source_is_stale_beyond_its_age_and_not_at_it():
    def stale(behind: pd.Timedelta | None, max_age: pd.Timedelta | None = TWO_DAYS) -> bool:
        return Freshness("stock", None, behind, max_age).is_stale

    assert stale(pd.Timedelta(days=2, seconds=1))
    assert not stale(TWO_DAYS)
    assert not stale(None)
    assert not stale(pd.Timedelta(days=99), None)


def test_before_any_delivery_no_source_is_fresh_or_stale(empty_space: Workspace):
    assert [(one.newest, one.behind) for one in freshness(empty_space, NOW)] == [(None, None)] * 3


def test_what_was_published_is_priced_once_outcomes_are_there(space: Workspace):
    assert realized_so_far(space) == []
    frame = build_frame(space.settings.root, take_snapshot(space.journal, space.problem), space.problem)
    publish(
        space.settings.root, space.journal, space.problem, Order(frame.rows, 1, "a" * 64, "s" * 64, space.problem.features), predict=predict
    )
    (told,) = realized_so_far(space)
    assert told["realized"]["rows"] == len(frame.rows)
    assert told["realized"]["cost_per_1000"] == 20_000 * frame.rows["returned"].mean()


def test_looking_freezes_no_list_of_batches(space: Workspace):
    looked = current_inputs(space)
    assert space.journal.rows(tables.snapshots) == []
    taken = take_snapshot(space.journal, space.problem)
    assert looked == inputs_digest(space, taken)
    assert [row["snapshot"] for row in space.journal.rows(tables.snapshots)] == [taken.id]


def test_the_overview_is_written_from_the_journal_alone(space: Workspace):
    page = refresh_site(space, realized_so_far(space))
    assert page.is_relative_to(space.settings.site)
    text = page.read_text()
    assert all(source.name in text for source in space.problem.sources)
    assert changed(space.problem.business).question in text


def moved(space: Workspace, version: int, previous: int | None, *, kind: str = "promotion") -> str:
    name = f"move {len(space.journal.rows(tables.promotions))}"
    row = {"kind": kind, "reason": "r", "person": "gate", "version": version, "champion": previous, "anchor": 1}
    space.journal.add(tables.promotions, promotion=name, state="done", **row)
    return name


def overruled(space: Workspace, version: int, previous: int | None, *, expires: datetime) -> None:
    word = Override(version, "d", "reject", ("leakage",), "known", "Ada", expires)
    space.journal.add(tables.overrides, **row_of(word, moved(space, version, previous, kind="override")))


def promoted(space: Workspace, version: int, champion: int | None) -> None:
    row = {"decision": f"d{version}", "training_key": "k", "inputs": "i", "verdict": "promote", "snapshot": "s", "data_time": "t"}
    space.journal.add(tables.decisions, **row, candidate=version, champion=champion, record={"candidate": {"version": version}})


def freeze(space: Workspace) -> None:
    brakes.freeze(space.journal, root=space.settings.root, reason="audit", person="Grace")


def test_nothing_is_noticed_where_nothing_is_out_of_the_ordinary(empty_space: Workspace):
    moved(empty_space, 1, None)
    assert notices(empty_space, NOW) == []
    assert not is_due(empty_space, NOW)


def test_a_freeze_and_what_waits_for_its_end_are_noticed(empty_space: Workspace):
    moved(empty_space, 1, None)
    freeze(empty_space)
    promoted(empty_space, 2, 1)
    (stopped, waits) = notices(empty_space, NOW)
    assert stopped[0] == waits[0] == "hold"
    assert "Promotions are frozen since" in stopped[1]
    assert "by Grace: audit" in stopped[1]
    assert waits[1] == "The PROMOTE of version 2 is not carried out while promotions are frozen."
    assert not is_due(empty_space, NOW)
    brakes.unfreeze(empty_space.journal, root=empty_space.settings.root, reason="over", person="Grace")
    assert notices(empty_space, NOW) == [("hold", "The PROMOTE of version 2 is carried out by the next round.")]
    assert is_due(empty_space, NOW)


def test_an_override_is_noticed_until_it_expires_and_then_in_red(empty_space: Workspace):
    moved(empty_space, 1, None)
    overruled(empty_space, 2, 1, expires=NOW)
    before = NOW - timedelta(seconds=1)
    ((tone, said),) = notices(empty_space, before)
    assert (tone, is_due(empty_space, before)) == ("hold", False)
    assert "Ada lets it serve through 2029-12-31 (UTC): known" in said
    ((tone, said),) = notices(empty_space, NOW)
    assert (tone, is_due(empty_space, NOW)) == ("bad", True)
    assert said == (
        "The override of version 2 by Ada expired after 2029-12-31 (UTC), and the version still serves. "
        "The next round goes back to version 1."
    )


@pytest.mark.parametrize(("previous", "why"), [(None, "There is nothing to roll back to"), (1, "Version 1 is barred")])
def test_an_expired_override_without_a_way_back_is_told_in_red_and_makes_no_round(empty_space: Workspace, previous: int | None, why: str):
    empty_space.journal.add(tables.bars, event="e", reason="slow", person="Ada", version=1, barred=True)
    overruled(empty_space, 2, previous, expires=NOW)
    ((tone, said),) = notices(empty_space, NOW)
    assert tone == "bad"
    assert f"It cannot be taken back: {why}" in said
    assert not is_due(empty_space, NOW)


def test_the_overview_shows_what_is_out_of_the_ordinary(empty_space: Workspace):
    freeze(empty_space)
    assert "Promotions are frozen since" in refresh_site(empty_space, []).read_text()
