"""What served predictions were worth: joined with real batches of outcomes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from logged import put_decisions
from toy import data, tasks
from workspaces import changed, deliver, deliver_days, ingest, open_space, toy_frame, with_source

from evergreen.contract import Problem
from evergreen.control import refresh_site
from evergreen.data.snapshots import build_frame, published_now
from evergreen.monitoring.online import Served
from evergreen.report.site import Overview, render_overview, served_sentences
from evergreen.status import served_so_far
from evergreen.training import training_target
from evergreen.workspace import Workspace

BEFORE = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
"""Before any outcome is recorded, whatever recorded means."""
FOUR = toy_frame(1).head(4)
KEYS, TRUTH, PRODUCT = (FOUR[name].tolist() for name in ("order_id", "returned", "product"))
MISS, FALSE_ALARM = 20, 10


def cost(decisions: list[int], truth: list[int] = TRUTH) -> int:
    return sum(MISS * (y and not d) + FALSE_ALARM * (d and not y) for y, d in zip(truth, decisions, strict=True))


def worth(space: Workspace) -> Served:
    told = served_so_far(space)
    assert told is not None
    judged = int(told.worth["rows"]) if told.worth else 0
    assert told.rows == told.without_entity + told.unknown + told.waiting + told.late + told.repeated + judged
    return told


def test_where_nothing_was_served_nothing_is_told(space: Workspace):
    assert served_so_far(space) is None
    assert "Predictions over HTTP" not in refresh_site(space, []).read_text()


def test_a_log_without_any_data_does_not_keep_the_rest_from_being_told(empty_space: Workspace):
    put_decisions(empty_space.journal, KEYS, TRUTH, asked=BEFORE)
    assert served_so_far(empty_space) is None
    deliver_days(empty_space, 2)
    ingest(empty_space)
    assert worth(empty_space).rows == 4


def test_served_decisions_are_priced_against_rule_and_no_model(space: Workspace):
    put_decisions(space.journal, KEYS, [1, 0, 1, 0], asked=BEFORE)
    told = worth(space).worth
    rule, constant = cost([int(product == "shoe") for product in PRODUCT]), min(cost([0] * 4), cost([1] * 4))
    model = cost([1, 0, 1, 0])
    assert told == {
        "rows": 4,
        "cost_per_1000": 250 * model,
        "rule_of_thumb_per_1000": 250 * rule,
        "no_model_per_1000": 250 * constant,
        "saved": rule - model,
        "saved_against_no_model": constant - model,
    }
    assert cost(TRUTH) == 0
    put_decisions(space.journal, KEYS, TRUTH, asked=BEFORE + timedelta(minutes=1))
    assert worth(space).worth["cost_per_1000"] == 0


def test_why_others_do_not_count_is_told(empty_space: Workspace):
    deliver_days(empty_space, 2)
    deliver_days(empty_space, 1, start=2, without=("outcomes",))
    ingest(empty_space)
    waiting = toy_frame(3).query("order_id >= 'o0002'")["order_id"].head(2).tolist()
    put_decisions(empty_space.journal, [None, *waiting, "nobody", KEYS[0]], [1, 1, 1, 1, 0], asked=BEFORE)
    told = worth(empty_space)
    assert (told.rows, told.without_entity, told.waiting, told.unknown, told.late, told.repeated) == (5, 1, 2, 1, 0, 0)
    assert told.worth["rows"] == 1
    words = " ".join(served_sentences(told, empty_space.problem))
    assert "5 are in the log; for 1 orders the last one before the outcome counts." in words
    assert "2 have no outcome that counts yet." in words
    assert "1 do not name one of the orders, so no outcome finds them." in words
    assert "1 name one that no delivery has brought" in words
    assert "recorded already" not in words


def test_a_thing_asked_several_times_counts_by_the_last_time_before_its_outcome_was_recorded(space: Workspace):
    first, truth = KEYS[0], TRUTH[0]
    for minutes, decision in ((5, truth), (0, 1 - truth), (3, 1 - truth)):  # not written in the order they were asked
        put_decisions(space.journal, [first], [decision], asked=BEFORE + timedelta(minutes=minutes))
    put_decisions(space.journal, [first], [1 - truth], asked=datetime.now(UTC) + timedelta(minutes=1))
    told = worth(space)
    assert (told.repeated, told.late, told.worth["rows"], told.worth["cost_per_1000"]) == (2, 1, 1, 0)


def test_recorded_is_when_the_first_delivery_with_the_outcome_was_judged(empty_space: Workspace):
    deliver_days(empty_space, 2)
    ingest(empty_space)
    between = datetime.now(UTC)
    deliver(empty_space, "outcomes", "again.csv", pd.read_csv(next((empty_space.settings.landing / "outcomes").iterdir())))
    ingest(empty_space)
    put_decisions(empty_space.journal, KEYS[:1], [1], asked=between)
    put_decisions(empty_space.journal, KEYS[1:2], [1], asked=between - timedelta(days=1))
    told = worth(empty_space)
    assert (told.late, told.worth["rows"]) == (1, 1)


def test_by_the_clock_on_the_wall_the_time_of_the_outcome_counts_where_it_is_earlier(space: Workspace):
    wall = Workspace(space.settings, changed(clock="wall"), space.journal)
    happened = FOUR["ordered_at"].iloc[0].to_pydatetime()  # the toy's outcomes have the time of the order
    put_decisions(space.journal, KEYS[:1], [1 - TRUTH[0]], asked=happened)
    put_decisions(space.journal, KEYS[:1], [TRUTH[0]], asked=happened - timedelta(microseconds=1))
    told = worth(wall)
    assert (told.late, told.worth["rows"], told.worth["cost_per_1000"]) == (1, 1, 0)
    assert (worth(space).late, worth(space).repeated) == (0, 1)


def with_numbers(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(order_id=rows["order_id"].str.replace(r"\D", "", regex=True).astype("int64"))


def read_orders(file: Path) -> pd.DataFrame:
    return with_numbers(data.read_orders(file))


def read_outcomes(file: Path) -> pd.DataFrame:
    return with_numbers(data.read_outcomes(file))


def served_of(problem: Problem, root: Path) -> dict[str, float]:
    """What three served decisions cost that turned out to be right."""
    space = open_space(root, problem=problem)
    deliver_days(space, 2)
    ingest(space)
    frame = build_frame(space.settings.root, published_now(space.journal, problem), problem)
    rows = frame.labelled.head(3)
    put_decisions(space.journal, rows["order_id"].tolist(), training_target(rows, problem).tolist(), asked=BEFORE)
    told = worth(space).worth
    space.journal.close()
    assert told is not None
    return told


def test_keys_that_are_numbers_are_found_too(tmp_path: Path):
    problem = with_source("outcomes", with_source("orders", read=read_orders), read=read_outcomes)
    told = served_of(problem, tmp_path)
    assert (told["rows"], told["cost_per_1000"]) == (3, 0)


@pytest.mark.parametrize("problem", [tasks.REGRESSION, tasks.MULTICLASS, tasks.BINARY_WITHOUT_TIME], ids=lambda problem: problem.name)
def test_other_kinds_of_tasks_are_priced_in_their_terms(tmp_path: Path, problem: Problem):
    told = served_of(problem, tmp_path)
    assert (told["rows"], told["cost_per_1000"]) == (3, 0)
    assert told["rule_of_thumb_per_1000"] == told["saved"] * 1000 / 3


@pytest.mark.parametrize(("decisions", "verb"), [(TRUTH, "saved"), ([1 - y for y in TRUTH], "lost")])
def test_the_overview_shows_it(space: Workspace, decisions: list[int], verb: str):
    put_decisions(space.journal, KEYS, decisions, asked=BEFORE)
    page = refresh_site(space, []).read_text()
    assert "<h2>Predictions over HTTP</h2>" in page
    assert "4 are in the log; for 4 orders" in page
    saved = cost([int(product == "shoe") for product in PRODUCT]) - cost(decisions)
    assert f"{verb} {abs(saved):,} EUR against the rule of thumb." in page
    assert "have no outcome" not in page


def test_before_any_outcome_only_the_counts_are_told(empty_space: Workspace):
    told = served_sentences(Served(3, 1, 0, 2, 0, 0, None), empty_space.problem)
    assert told == [
        "3 are in the log; for 0 orders the last one before the outcome counts.",
        "2 have no outcome that counts yet.",
        "1 do not name one of the orders, so no outcome finds them.",
    ]
    assert "Predictions over HTTP" not in render_overview(Overview(), empty_space.problem)
