from datetime import timedelta
from pathlib import Path

import pandas as pd
from toy.data import START
from workspaces import changed, deliver_days, ingest, with_source

from evergreen.data.publishing import Order, publish
from evergreen.data.snapshots import build_frame, take_snapshot
from evergreen.status import Freshness, freshness, has_new_deliveries, realized_so_far, refresh_site
from evergreen.workspace import Workspace

TWO_DAYS = pd.Timedelta(days=2)


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
    told = {one.source: one for one in freshness(space)}
    assert list(told) == ["orders", "stock", "outcomes"]  # customers have no time
    assert told["orders"].behind == pd.Timedelta(0)
    assert told["stock"].newest == START + pd.Timedelta(days=1, hours=6)
    assert told["stock"].behind == told["orders"].newest - told["stock"].newest
    assert told["stock"].is_stale
    assert not told["outcomes"].is_stale  # it may be as old as it likes


def test_a_source_is_stale_beyond_its_age_and_not_at_it():
    def stale(behind: pd.Timedelta | None, max_age: pd.Timedelta | None = TWO_DAYS) -> bool:
        return Freshness("stock", None, behind, max_age).is_stale

    assert stale(pd.Timedelta(days=2, seconds=1))
    assert not stale(TWO_DAYS)
    assert not stale(None)
    assert not stale(pd.Timedelta(days=99), None)


def test_before_any_delivery_no_source_is_fresh_or_stale(empty_space: Workspace):
    assert [(one.newest, one.behind) for one in freshness(empty_space)] == [(None, None)] * 3


def test_what_was_published_is_priced_once_outcomes_are_there(space: Workspace):
    assert realized_so_far(space) == []
    frame = build_frame(space.settings.root, take_snapshot(space.journal, space.problem), space.problem)
    publish(
        space.settings.root, space.journal, space.problem, Order(frame.rows, 1, "a" * 64, "s" * 64, space.problem.features), predict=predict
    )
    (told,) = realized_so_far(space)
    assert told["realized"]["rows"] == len(frame.rows)
    assert told["realized"]["cost_per_1000"] == 20_000 * frame.rows["returned"].mean()


def test_the_overview_is_written_from_the_journal_alone(space: Workspace):
    page = refresh_site(space, realized_so_far(space))
    assert page.is_relative_to(space.settings.site)
    text = page.read_text()
    assert all(source.name in text for source in space.problem.sources)
    assert changed(space.problem.business).question in text
