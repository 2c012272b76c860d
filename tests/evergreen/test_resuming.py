from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from logged import put, put_shadowed
from workspaces import changed, correct, deliver_days, ingest, keep, kept, open_space, train

from evergreen import journal as tables
from evergreen import resuming, retraining, shadows
from evergreen.brakes import barred, unbar
from evergreen.data.snapshots import row_fingerprints, take_snapshot
from evergreen.errors import RefusedError
from evergreen.policies import GatePolicy, HashedSplit
from evergreen.promotion import Word, promote, standing
from evergreen.workspace import Workspace

LONG_AGO = datetime(2025, 12, 1, tzinfo=UTC)
WANTS_MORE = changed(gate=GatePolicy(min_rows=5_000))


@pytest.fixture(scope="module")
def first_held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a toy workspace whose first candidate is held: its 25 days have too few rows. Made once, and put back for each test."""
    space = open_space(tmp_path_factory.mktemp("held") / "home", problem=WANTS_MORE)
    deliver_days(space, 70)
    ingest(space)
    assert train(space)["verdict"] == "hold"
    return keep(space)


@pytest.fixture
def held(first_held: Path) -> Iterator[Workspace]:
    """That workspace, as it was."""
    with kept(first_held, problem=WANTS_MORE) as space:
        yield space


def judge_again(space: Workspace, number: int | None = None) -> dict:
    """What the flow does that judges a held version again, without Prefect."""
    version = resuming.held_version(space, number)
    material = resuming.prepare_again(space, take_snapshot(space.journal, space.problem), version)
    record = resuming.standing_verdict(space, material, version)
    if record is None:
        record = retraining.decide(space, material, version, retraining.ask_models(space, material, version))
    retraining.apply(space, record)
    return record


def later(space: Workspace, days: int = 25, *, start: int = 70) -> None:
    """Deliver further days."""
    deliver_days(space, days, start=start)
    ingest(space)


def test_a_held_version_is_promoted_when_enough_has_matured_and_no_other_one_is_trained(held: Workspace):
    later(held)
    record = judge_again(held)
    assert record["verdict"] == "promote", [f for f in record["findings"] if f["outcome"] != "pass"]
    assert record["candidate"]["version"] == standing(held.journal).champion == 1
    assert len(held.registry.versions()) == 1


def test_a_holdout_that_is_too_small_spends_nothing_for_it_could_promote_nobody(held: Workspace):
    record = held.journal.last(tables.decisions)["record"]
    assert [finding["check"] for finding in record["findings"] if finding["outcome"] == "hold"] == ["size"]
    assert (record["budget"]["this"], held.journal.rows(tables.ledger), held.journal.rows(tables.looks)) == (0.0, [], [])
    later(held)
    assert judge_again(held)["budget"]["this"] == GatePolicy().alpha_first / 2
    assert len(held.journal.rows(tables.ledger)) == len(held.journal.rows(tables.looks)) == 1


def test_it_is_judged_on_everything_that_it_has_not_seen_and_on_nothing_else(held: Workspace):
    version = held.registry.version(1)
    later(held)
    material = resuming.prepare_again(held, take_snapshot(held.journal, held.problem), version)
    before = held.journal.last(tables.decisions, candidate=1)["record"]["window"]
    assert len(material.split.holdout) > before["rows"]
    assert material.split.end > np.datetime64(before["end"][:19]).astype(object).replace(tzinfo=material.split.end.tzinfo)
    assert len(material.split.train) == version.facts["rows"]
    assert material.split.holdout["ordered_at"].min() > material.split.train["ordered_at"].max() + held.problem.embargo


def test_without_new_outcomes_the_verdict_stands_and_nothing_is_spent(held: Workspace):
    spent, decided = held.journal.rows(tables.ledger), held.journal.rows(tables.decisions)
    assert judge_again(held) == decided[-1]["record"]
    assert (held.journal.rows(tables.ledger), held.journal.rows(tables.decisions)) == (spent, decided)


def test_asked_twice_on_the_same_outcomes_it_answers_the_same_and_spends_once(held: Workspace):
    later(held, 3)
    first = judge_again(held)
    assert first["verdict"] == "hold"
    spent = held.journal.rows(tables.ledger)
    assert judge_again(held) == first
    assert held.journal.rows(tables.ledger) == spent


def test_the_next_training_learns_from_the_new_outcomes_although_a_held_version_was_judged_on_them(held: Workspace):
    later(held)
    judge_again(held)
    assert train(held)["candidate"]["version"] == 2


def test_only_what_is_held_is_judged_again(held: Workspace):
    later(held)
    judge_again(held)
    with pytest.raises(RefusedError, match="Version 1 serves already; only one that is held is judged again"):
        resuming.held_version(held, 1)
    with pytest.raises(RefusedError, match="No version is held"):
        resuming.held_version(held)


def test_a_barred_version_is_not_judged_again(held: Workspace):
    later(held)
    held.journal.add(tables.bars, event="planted", version=1, barred=True, reason="complaints", person="ann")
    assert barred(held.journal) == {1}
    with pytest.raises(RefusedError, match="Version 1 is barred"):
        resuming.held_version(held, 1)
    unbar(held.journal, 1, reason="checked", person="ann")
    assert resuming.held_version(held).number == 1


def test_a_held_version_of_data_without_split_in_time_is_judged_on_all_reserved_groups(tmp_path: Path):
    space = open_space(tmp_path, problem=changed(WANTS_MORE, split=HashedSplit(group="customer_id", holdout_share=0.3)))
    deliver_days(space, 70)
    ingest(space)
    first = train(space)
    assert first["verdict"] == "hold"
    assert judge_again(space) == first
    later(space, 60)
    record = judge_again(space)
    assert record["window"]["rows"] > first["window"]["rows"]
    assert record["verdict"] == "promote", [f for f in record["findings"] if f["outcome"] != "pass"]


def test_a_corrected_row_that_was_learnt_from_is_left_out_of_the_reserved_groups(tmp_path: Path):
    space = open_space(tmp_path, problem=changed(WANTS_MORE, split=HashedSplit(group="customer_id", holdout_share=0.3)))
    deliver_days(space, 70)
    ingest(space)
    assert train(space)["verdict"] == "hold"
    split = retraining.prepare(space, take_snapshot(space.journal, space.problem)).split
    correct(space, split.train.head(5), customer_id=split.holdout["customer_id"].iloc[0])
    later(space, 60)
    record = judge_again(space)
    assert record["verdict"] == "promote", [f for f in record["findings"] if f["outcome"] != "pass"]
    assert record["facts"]["left out of the holdout"] == 5


def test_with_a_newer_champion_it_is_judged_on_what_came_after_both(held: Workspace):
    later(held, 20)
    newer = train(held)["candidate"]["version"]
    promote(held.registry, newer, Word("release", "checked by hand", "ann"), expected_champion=None)
    later(held, 30, start=90)
    material = resuming.prepare_again(held, take_snapshot(held.journal, held.problem), held.registry.version(1))
    learnt = held.registry.evidence_folder(held.registry.version(newer)) / "training_rows.npy"
    seen = np.isin(row_fingerprints(material.split.holdout, "order_id"), np.load(learnt))
    assert not seen.any()
    record = judge_again(held, 1)
    assert next(one for one in record["findings"] if one["check"] == "hygiene")["outcome"] == "pass"


def test_a_champion_is_not_a_held_version(held: Workspace):
    promote(held.registry, 1, Word("release", "checked by hand", "ann"), expected_champion=None)
    with pytest.raises(RefusedError, match="No version is held"):
        resuming.held_version(held)
    with pytest.raises(RefusedError, match="Version 1 serves already"):
        resuming.held_version(held, 1)


def test_a_version_whose_contract_has_changed_is_not_judged_and_stays_held(held: Workspace):
    later(held)
    other = Workspace(held.settings, changed(WANTS_MORE, gate=GatePolicy(min_rows=4_000)), held.journal)
    before = held.journal.rows(tables.decisions)
    with pytest.raises(RefusedError, match="Version 1 cannot be judged again: the contract changed since it was trained"):
        judge_again(other)
    assert held.journal.rows(tables.decisions) == before
    assert resuming.held_version(held).number == 1


@pytest.mark.parametrize(("worse", "outcome"), [("shadow", "hold"), ("served", "pass")])
def test_what_a_candidate_said_in_shadow_is_judged_against_what_the_champion_answered(tmp_path: Path, worse: str, outcome: str):
    space = open_space(tmp_path)
    deliver_days(space, 70)
    ingest(space)
    assert train(space)["verdict"] == "promote"
    later(space)
    material = retraining.prepare(space, take_snapshot(space.journal, space.problem))
    candidate = retraining.make_candidate(space, material, tuning=False)
    rows = material.frame.labelled
    right, wrong = (pd.DataFrame({"decision": y, "probability": 0.1 + 0.8 * y}) for y in (rows["returned"], 1 - rows["returned"]))
    served, shadow = (right, wrong) if worse == "shadow" else (wrong, right)
    shadows.begin(space.journal, candidate.number, reason="A try.")
    put(space.journal, rows[["amount"]], served.astype({"decision": int}), entities=rows["order_id"].tolist(), version=1, asked=LONG_AGO)
    put_shadowed(space.journal, shadow.astype({"decision": int}).to_dict("records"))
    record = retraining.decide(space, material, candidate, retraining.ask_models(space, material, candidate))
    (finding,) = [one for one in record["findings"] if one["check"] == "shadow"]
    assert (finding["outcome"], finding["n"]) == (outcome, len(rows)), finding["reason"]
    assert ("loses" in finding["reason"], record["verdict"] == "promote") == (worse == "shadow", worse == "served")
    costs = record["shadow"]["cost_per_1000"]
    assert (costs["candidate"] > costs["champion"]) == (worse == "shadow")
    assert record["shadow"]["served"] == {"1": len(rows)}
