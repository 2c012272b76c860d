"""A suite proposed from what was accepted: nothing accepted breaks it, what is not like it does, and a person is told why."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from deliveries import expectation
from toy.contract import PROBLEM
from toy.data import day_of_orders
from workspaces import changed, deliver, deliver_days, ingest, open_space

from evergreen import revocations
from evergreen.errors import RefusedError
from evergreen.journal import deliveries
from evergreen.policies import Source
from evergreen.proposing.differing import compare
from evergreen.proposing.drafting import MOST_SLACK, SLACK, draft, slack_of
from evergreen.proposing.looking import look
from evergreen.proposing.proposal import accepted, check_present, propose, source_of, vet, write
from evergreen.validation import Report, load_suite, validate
from evergreen.workspace import Workspace

THINGS = Source(name="things", key=("thing",), read=pd.read_csv)
SIGNS = ("red", "green", "blue")


@pytest.fixture
def space(tmp_path: Path) -> Iterator[Workspace]:
    """A home with four accepted deliveries of each source."""
    space = open_space(tmp_path / "home")
    for start in (0, 10, 20, 30):
        deliver_days(space, 10, start=start)
    ingest(space)
    yield space
    space.journal.close()


def things(seed: int, rows: int = 400, **columns: Any) -> pd.DataFrame:
    """Rows of made-up things, some columns replaced."""
    random = np.random.default_rng(seed)
    made = {
        "thing": [f"{seed}-{row}" for row in range(rows)],
        "length": random.normal(100, 10, rows),
        "count": random.integers(0, 50, rows),
        "colour": random.choice(SIGNS, rows),
        "code": [f"AB-{number:04d}" for number in random.integers(0, 9999, rows)],
        "weight": np.where(random.random(rows) < 0.1, np.nan, random.normal(5, 1, rows)),
    }
    return pd.DataFrame(made | columns)


def drafted(*frames: pd.DataFrame) -> dict[tuple[str, str], dict[str, Any]]:
    """The draft from those batches, by type (without what all begin with) and column."""
    told = draft([look(frame) for frame in frames], THINGS)
    return {(one["type"].removeprefix("expect_"), one["kwargs"].get("column", "")): one for one in told}


def judged(tmp_path: Path, frame: pd.DataFrame, *frames: pd.DataFrame) -> Report:
    """What the draft from `frames` says of one more."""
    suite = {"name": "things", "expectations": draft([look(one) for one in frames], THINGS)}
    (tmp_path / "things.json").write_text(json.dumps(suite))
    return validate(frame, tmp_path / "things.json", name="things")


USUAL = tuple(things(seed) for seed in range(4))


def test_more_of_the_same_is_accepted_and_not_even_warned_of(tmp_path: Path):
    for seed in range(10, 16):
        report = judged(tmp_path, things(seed), *USUAL)
        assert (report.failed, report.warnings) == ((), ())


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("length", np.random.default_rng(1).normal(2540, 254, 400)),  # inches that have become millimetres
        ("count", np.full(400, -1)),
        ("colour", ["Red"] * 400),
        ("code", [f"ab{number:04d}" for number in range(400)]),
        ("code", [None] * 100 + [f"AB-{number:04d}" for number in range(300)]),
        ("weight", [np.nan] * 200 + [5.0] * 200),
        ("length", [np.nan] * 40 + [100.0] * 360),
    ],
    ids=["unit", "sign", "category", "format", "nulls of a text", "many more nulls", "nulls where none were"],
)
def test_a_planted_fault_is_refused(tmp_path: Path, column: str, values: Any):
    report = judged(tmp_path, things(10, **{column: values}), *USUAL)
    assert {check.column for check in report.failed} == {column}


def test_a_column_that_has_gone_is_refused_and_a_new_one_is_not(tmp_path: Path):
    assert judged(tmp_path, things(10).drop(columns="colour"), *USUAL).failed
    assert judged(tmp_path, things(10, new=1), *USUAL).passed


def test_a_mean_that_wanders_and_a_few_more_nulls_are_told_only(tmp_path: Path):
    wandering = things(10).assign(length=lambda rows: rows["length"] + 20)
    more = things(10).assign(weight=lambda rows: rows["weight"].where(np.arange(len(rows)) % 6 > 0))
    for frame, column in ((wandering, "length"), (more, "weight")):
        report = judged(tmp_path, frame, *USUAL)
        assert report.passed
        assert [check.column for check in report.warnings] == [column]


def test_every_expectation_notes_what_was_seen():
    told = drafted(*USUAL)
    assert all("4 batches, 1,600 rows" in one["notes"] for one in told.values())
    counts = told["column_values_to_be_between", "count"]
    assert counts["notes"].startswith("Seen 0 to 49")
    assert counts["kwargs"]["min_value"] == 0  # what begins at nothing does not go below
    assert told["column_values_to_be_in_set", "colour"]["kwargs"]["value_set"] == sorted(SIGNS)
    assert told["column_values_to_match_regex", "code"]["kwargs"]["regex"] == "^[A-Z]{2}\\-[0-9]{4}$"


def test_what_is_built_in_is_not_said_again():
    told = drafted(*USUAL)
    assert not [kind for kind, column in told if column == "thing" and ("null" in kind or "unique" in kind)]
    assert ("table_row_count_to_be_between", "") not in told


def test_categories_that_grew_only_warn_and_stable_ones_refuse():
    grown = (*USUAL, things(9, colour=["violet"] * 400))
    assert drafted(*USUAL)["column_values_to_be_in_set", "colour"]["severity"] == "critical"
    told = drafted(*grown)["column_values_to_be_in_set", "colour"]
    assert told["severity"] == "warning"
    assert "after the first batch came violet" in told["notes"]
    assert drafted(*USUAL[:2])["column_values_to_be_in_set", "colour"]["severity"] == "warning"  # two are too few to be stable


def test_a_format_is_proposed_only_where_all_values_have_it():
    odd = things(9).assign(code=lambda rows: rows["code"].where(rows.index > 0, "??"))
    assert ("column_values_to_match_regex", "code") in drafted(*USUAL)
    assert ("column_values_to_match_regex", "code") not in drafted(*USUAL, odd)


def test_one_outlier_does_not_widen_a_range():
    odd = things(9).assign(length=lambda rows: rows["length"].where(rows.index > 0, 1e6))
    plain, wild = (drafted(*USUAL, each)["column_values_to_be_between", "length"] for each in (things(9), odd))
    assert wild["kwargs"]["max_value"] < 2 * plain["kwargs"]["max_value"]
    assert "1e+06" in wild["notes"]


def test_fewer_batches_leave_more_slack():
    assert slack_of(1) == MOST_SLACK > slack_of(6) > slack_of(100) == SLACK
    one, four = (drafted(*some)["column_values_to_be_between", "length"]["kwargs"] for some in (USUAL[:1], USUAL))
    assert one["max_value"] > four["max_value"]


def test_odd_columns_give_no_expectation_that_cannot_be_used(tmp_path: Path):
    odd = {"empty": [None] * 400, "flag": [True, False] * 200, "same": 7, "infinite": [np.inf] * 400, "mixed": [1, "a"] * 200}
    frames = [things(seed, **odd, when=pd.Timestamp("2026-01-01", tz="UTC"), text=["", "x y"] * 200) for seed in range(3)]
    assert judged(tmp_path, frames[0], *frames).passed
    numbers = [
        column for kind, column in drafted(*frames) if "between" in kind and column in {"empty", "same", "infinite", "flag", "mixed"}
    ]
    assert numbers == []
    assert ("column_values_to_not_be_null", "empty") not in drafted(*frames)


def test_every_accepted_batch_meets_what_is_proposed_and_the_draft_can_be_used(space: Workspace):
    for source in space.problem.sources:
        made = propose(space, source.name)
        path = write(space, made)
        assert path == space.settings.root / "proposals" / f"{source.suite}.json"
        assert len(load_suite(path).expectations) == len(made.expectations) > 0
        for name, frame in accepted(space, source):
            assert not [check for check in validate(frame, path, name=name).checks if not check.passed]
    assert made.text == propose(space, source.name).text
    # The suite itself is a person's.
    assert len(json.loads((space.settings.expectations / "orders.json").read_text())["expectations"]) == 1


def test_what_an_accepted_batch_breaks_is_left_out_and_told(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    source = source_of(space, "orders")
    planted = [expectation("column_values_to_be_between", column="amount", max_value=5), expectation("column_to_exist", column="amount")]
    sound, left_out = vet(space, source, planted)
    assert sound == planted[1:]
    first = next(name for name, _ in accepted(space, source))
    assert left_out == [f"`amount` lies at or below 5 (critical): {first} breaks it"]
    monkeypatch.setattr("evergreen.proposing.proposal.draft", lambda *_: planted)
    assert propose(space, "orders").expectations == tuple(planted[1:])
    monkeypatch.setattr("evergreen.proposing.proposal.draft", lambda *_: planted[:1])
    with pytest.raises(RefusedError, match="Nothing can be expected of orders"):
        propose(space, "orders")


def test_what_was_taken_back_does_not_count(space: Workspace):
    before = propose(space, "orders")
    batch = space.journal.rows(deliveries, source="orders")[0]["batch"]
    revocations.revoke(space.journal, batch, root=space.settings.root, words={"reason": "wrong", "person": "Ada"})
    after = propose(space, "orders")
    assert (before.batches, after.batches) == (4, 3)
    assert after.rows < before.rows


def test_few_batches_are_a_weak_basis_and_none_is_no_basis(tmp_path: Path):
    space = open_space(tmp_path / "home")
    with pytest.raises(RefusedError, match=r"Nothing of orders has been accepted yet.*evergreen ingest"):
        propose(space, "orders")
    with pytest.raises(RefusedError, match="Got the source 'order'; the contract has orders, stock, customers, outcomes"):
        propose(space, "order")
    deliver_days(space, 10)
    ingest(space)
    assert propose(space, "orders").is_weak
    space.journal.close()


def test_sources_that_share_a_suite_are_looked_at_together(tmp_path: Path):
    sources = tuple(changed(one, suite="shop") if one.name in {"orders", "outcomes"} else one for one in PROBLEM.sources)
    space = open_space(tmp_path / "home", problem=changed(PROBLEM, sources=sources))
    deliver_days(space, 10)
    ingest(space)
    made = propose(space, "orders")
    assert (made.name, made.batches) == ("shop", 2)
    columns = next(one["kwargs"]["column_set"] for one in made.expectations if "columns_to_match_set" in one["type"])
    assert set(columns) == {"order_id", "ordered_at"}
    space.journal.close()


def test_the_present_suite_is_held_against_every_accepted_batch(space: Workspace):
    count, found = check_present(space, "orders")
    assert (count, [one for one in found if one.broken_by]) == (4, [])
    largest = [frame["amount"].max() for _, frame in accepted(space, source_of(space, "orders"))]
    strict = {"name": "orders", "expectations": [expectation("column_max_to_be_between", column="amount", max_value=int(min(largest)) - 1)]}
    (space.settings.expectations / "orders.json").write_text(json.dumps(strict))
    broken = [one for one in check_present(space, "orders")[1] if one.broken_by]
    assert [len(one.broken_by) for one in broken] == [4]
    assert broken[0].broken_by[0].startswith("orders/orders-0000")


BETWEEN = "column_values_to_be_between"


@pytest.mark.parametrize(
    ("proposed", "present", "state"),
    [
        (expectation(BETWEEN, column="a", min_value=0, max_value=5), None, "new"),
        (None, expectation(BETWEEN, column="a", min_value=0), "only yours"),
        (expectation(BETWEEN, column="a", max_value=5), expectation(BETWEEN, column="a", max_value=5), "same"),
        (expectation(BETWEEN, column="a", max_value=5), expectation(BETWEEN, column="a", max_value=6), "tighter"),
        (expectation(BETWEEN, column="a", min_value=5), expectation(BETWEEN, column="a"), "tighter"),
        (expectation(BETWEEN, column="a", min_value=0, max_value=7), expectation(BETWEEN, column="a", min_value=0, max_value=6), "looser"),
        (
            expectation(BETWEEN, column="a", min_value=1, max_value=7),
            expectation(BETWEEN, column="a", min_value=0, max_value=6),
            "otherwise",
        ),
        (expectation(BETWEEN, column="a", mostly=0.9), expectation(BETWEEN, column="a"), "looser"),
        (expectation(BETWEEN, column="a", mostly=1), expectation(BETWEEN, column="a"), "same"),
        (expectation(BETWEEN, "warning", column="a"), expectation(BETWEEN, column="a"), "looser"),
        (
            expectation("column_values_to_be_in_set", column="a", value_set=["x"]),
            expectation("column_values_to_be_in_set", column="a", value_set=["y", "x"]),
            "tighter",
        ),
        (
            expectation("column_values_to_be_in_set", column="a", value_set=["x", "y"]),
            expectation("column_values_to_be_in_set", column="a", value_set=["y", "x"]),
            "same",
        ),
        (
            expectation("table_columns_to_match_set", column_set=["x"]),
            expectation("table_columns_to_match_set", column_set=["y", "x"]),
            "looser",
        ),
        (
            expectation("column_values_to_match_regex", column="a", regex="x"),
            expectation("column_values_to_match_regex", column="a", regex="y"),
            "otherwise",
        ),
        (expectation(BETWEEN, column="a", max_value="2026-01-01"), expectation(BETWEEN, column="a", max_value=5), "otherwise"),
    ],
)
def test_suites_are_compared_expectation_by_expectation(proposed: Any, present: Any, state: str):
    told = compare([proposed] if proposed else [], [present] if present else [])
    assert [one.state for one in told] == [state]
    assert (bool(told[0].proposed), bool(told[0].present)) == (proposed is not None, present is not None)


def test_an_expectation_on_another_column_is_no_counterpart():
    told = compare([expectation(BETWEEN, column="a", max_value=5)], [expectation(BETWEEN, column="b", max_value=5)])
    assert [one.state for one in told] == ["new", "only yours"]


def test_an_expectation_of_a_suite_that_is_broken_does_not_keep_one_from_being_proposed(space: Workspace):
    (space.settings.expectations / "orders.json").write_text('{"expectations"')
    made = propose(space, "orders")
    assert {one.state for one in made.differences} == {"new"}


def test_a_delivery_with_a_wrong_unit_is_quarantined_once_the_draft_is_in_place(space: Workspace):
    made = propose(space, "orders")
    (space.settings.expectations / "orders.json").write_text(made.text)
    orders = pd.concat([day_of_orders(day) for day in range(50, 60)]).drop(columns="returned")
    deliver(space, "orders", "clean.csv", orders)
    deliver(
        space, "orders", "cents.csv", orders.assign(amount=lambda rows: 100 * rows["amount"], order_id=lambda rows: "x" + rows["order_id"])
    )
    assert {one.name: one.outcome for one in ingest(space)} == {"clean.csv": "published", "cents.csv": "quarantined"}
