import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy.stats import loguniform
from sklearn.linear_model import LogisticRegression
from toy import features
from workspaces import changed, correct, deliver_days, ingest, keep, kept, open_space, train

from evergreen import brakes, retraining
from evergreen import journal as tables
from evergreen.contract import Problem
from evergreen.data.snapshots import take_snapshot
from evergreen.errors import ContractError, JournalError
from evergreen.gate.decision import judge
from evergreen.policies import BinaryCosts, HashedSplit
from evergreen.promotion import Standing, rollback, standing
from evergreen.registry import Version
from evergreen.releases import release
from evergreen.report.decision import render_decision
from evergreen.workspace import Workspace

LOCK = Path(__file__).parents[2] / "requirements.txt"


@pytest.fixture(scope="module")
def first_champion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a toy workspace whose first champion has been trained on 70 days; made once, and put back for each test."""
    space = open_space(tmp_path_factory.mktemp("trained") / "home")
    deliver_days(space, 70)
    ingest(space)
    assert train(space)["verdict"] == "promote"
    return keep(space)


@pytest.fixture
def trained(first_champion: Path) -> Iterator[Workspace]:
    """That workspace, as it was."""
    with kept(first_champion) as space:
        yield space


def test_the_same_data_are_judged_once_and_paid_for_once(trained: Workspace):
    first = trained.journal.rows(tables.decisions)
    assert train(trained) == first[0]["record"]
    assert trained.journal.rows(tables.decisions) == first
    assert len(trained.journal.rows(tables.ledger)) == 1


def test_a_schedule_without_outcomes_teaches_nothing_and_costs_nothing(trained: Workspace):
    deliver_days(trained, 5, start=70, without=("outcomes",))
    ingest(trained)
    assert train(trained)["candidate"]["version"] == 1
    assert len(trained.registry.versions()) == 1
    assert len(trained.journal.rows(tables.ledger)) == 1


def test_another_recipe_on_the_same_data_is_trained_and_judged(trained: Workspace):
    other = Workspace(trained.settings, changed(trained.problem, features=("product", "amount", "stock_level", "region")), trained.journal)
    record = train(other)
    assert record["candidate"]["version"] == 2
    assert record["champion"]["version"] == 1


def test_the_gate_is_told_when_the_contract_has_changed_and_when_the_champion_serves_against_its_word(
    trained: Workspace, monkeypatch: pytest.MonkeyPatch
):
    shown = []
    monkeypatch.setattr(retraining, "judge", lambda evidence, *args, **more: shown.append(evidence) or judge(evidence, *args, **more))
    deliver_days(trained, 30, start=70)
    ingest(trained)
    train(trained)
    dearer = changed(trained.problem.business, row_cost=BinaryCosts(missed=40, false_alarm=20))
    monkeypatch.setattr(retraining, "in_force", lambda journal, version: version)
    train(Workspace(trained.settings, changed(trained.problem, business=dearer), trained.journal))
    assert [(one.is_restated, one.is_overruled) for one in shown] == [(False, False), (True, True)]


def test_a_champion_is_given_the_features_that_it_was_trained_with(trained: Workspace):
    fewer = changed(trained.problem, features=("product", "amount"), build_estimator=_build_smaller)
    deliver_days(trained, 30, start=70)
    ingest(trained)
    record = train(Workspace(trained.settings, fewer, trained.journal))
    assert record["champion"]["version"] == 1
    assert {finding["check"] for finding in record["findings"]} >= {"champion", "hygiene"}
    assert record["changes"]["sentences"] == record["changed"]
    assert set(record["changes"]) == {"sentences", "window", "batches", "features", "parameters", "packages", "code"}


def test_corrected_rows_that_the_champion_has_learnt_from_are_not_judged_on_and_block_no_later_candidate(tmp_path: Path):
    space = open_space(tmp_path, problem=changed(split=HashedSplit(group="customer_id", holdout_share=0.3)))
    deliver_days(space, 70)
    ingest(space)
    assert train(space)["verdict"] == "promote"
    split = retraining.prepare(space, take_snapshot(space.journal, space.problem)).split
    correct(space, split.train.head(5), customer_id=split.holdout["customer_id"].iloc[0])
    record = train(space)
    assert _outcome(record, "hygiene") == "pass"
    assert record["window"]["rows"] == len(split.holdout)
    assert record["facts"]["left out of the holdout"] == 5
    assert "Left out of the holdout, because a compared model has learnt from them: 5 orders." in record["why"]
    assert train(space) == record


def test_a_row_whose_time_is_corrected_into_the_holdout_is_not_judged_on_when_the_champion_knows_it(trained: Workspace):
    split = retraining.prepare(trained, take_snapshot(trained.journal, trained.problem)).split
    correct(trained, split.train.tail(5), ordered_at=split.end - pd.Timedelta(hours=2))
    record = train(trained)
    assert _outcome(record, "hygiene") == "pass"
    assert record["facts"]["left out of the holdout"] == 5


def test_a_champion_whose_feature_is_gone_holds_the_candidate_and_a_persons_release_ends_that(tmp_path: Path):
    problem = changed(features=("product", "amount", "stock_level", "region"))
    space = open_space(tmp_path, problem=problem)
    deliver_days(space, 70)
    ingest(space)
    assert train(space)["verdict"] == "promote"
    later = Workspace(space.settings, changed(joins=problem.joins[:1], features=problem.features[:3], slices=()), space.journal)
    record = train(later)
    assert record["verdict"] == "hold"
    told = (
        "Nobody knows whether it is worse than what serves or served: champion (version 1) cannot predict these rows: the rows lack region"
    )
    assert record["why"][0].startswith(told)
    assert [one["check"] for one in record["findings"] if one["outcome"] != "pass"] == ["champion"]
    first = space.registry.version(1).facts
    assert record["champion"] == {"version": 1, **{name: first[name] for name in ("rows", "training_start", "training_end")}}
    assert record["changes"]["features"] == {"added": [], "removed": ["region"]}
    assert [row["purpose"] for row in space.journal.rows(tables.ledger)] == ["first model", "gate"]
    assert 'class="verdict hold"' in render_decision(record, later.problem)
    assert train(later) == record

    release(later.registry, 2, reason="compared by hand", person="ann")
    assert standing(space.journal) == Standing(2, 1, 2)  # else the silent anchor would hold every later candidate
    deliver_days(space, 30, start=70)
    ingest(space)
    assert _outcome(train(later), "champion") == "pass"


def test_a_version_that_was_rolled_back_from_does_not_come_back_by_itself(trained: Workspace):
    deliver_days(trained, 30, start=70)
    ingest(trained)
    assert train(trained)["verdict"] == "promote"
    rollback(trained.registry, reason="it looks wrong", person="ana")
    train(trained)
    assert standing(trained.journal).champion == 1


def test_a_promote_waits_while_promotions_are_frozen_and_is_carried_out_when_asked_for_again(trained: Workspace):
    words = {"root": trained.settings.root, "reason": "audit", "person": "ana"}
    deliver_days(trained, 30, start=70)
    ingest(trained)
    brakes.freeze(trained.journal, **words)
    record = train(trained)
    assert record["verdict"] == "promote"
    assert standing(trained.journal).champion == 1
    brakes.unfreeze(trained.journal, **words)
    assert train(trained) == record
    assert standing(trained.journal).champion == 2
    assert len(trained.journal.rows(tables.decisions)) == 2  # nothing was judged or paid for again


@pytest.fixture
def tunable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A toy workspace with 70 days of deliveries, and a search space; the estimator stands in a package that a test may change."""
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "notes.py").write_text("")
    shutil.copy(features.__file__, package / "features.py")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    recipe = importlib.import_module("shop.features").build_estimator
    space = open_space(tmp_path / "home", problem=changed(build_estimator=recipe, search_space=_search_space))
    deliver_days(space, 70)
    ingest(space)
    yield space
    space.journal.close()
    for module in ("shop", "shop.features"):
        del sys.modules[module]


def candidate(space: Workspace, *, tuning: bool, problem: Problem | None = None) -> Version:
    other = Workspace(space.settings, problem or space.problem, space.journal)
    return retraining.make_candidate(other, retraining.prepare(other, take_snapshot(other.journal, other.problem)), tuning=tuning)


def test_the_parameters_that_a_search_found_are_recorded_and_used_until_the_recipe_changes(tunable: Workspace):
    problem, contract, seed = tunable.problem, tunable.problem.digest(), tunable.problem.retraining.seed
    assert candidate(tunable, tuning=False).facts["parameters"] == {"seed": seed}
    tuned = candidate(tunable, tuning=True)
    assert tuned.facts["parameters"] == {"seed": seed, "logisticregression__C": 1.0}
    (told,) = tunable.journal.rows(tables.tunings)
    assert told["parameters"] == {"logisticregression__C": 1.0}
    assert told["cost"] > 0

    assert candidate(tunable, tuning=True) == candidate(tunable, tuning=False) == tuned
    assert len(tunable.journal.rows(tables.tunings)) == 1
    deliver_days(tunable, 5, start=70)
    ingest(tunable)
    later = candidate(tunable, tuning=False)
    assert later.number > tuned.number
    assert later.facts["parameters"] == tuned.facts["parameters"]

    assert candidate(tunable, tuning=False, problem=changed(problem, slices=())).facts["parameters"] == {"seed": seed}
    (problem.package / "notes.py").write_text("# another file of the problem's package\n")
    assert problem.digest() == contract
    assert candidate(tunable, tuning=False).facts["parameters"] == {"seed": seed}


def test_a_search_that_ends_in_numpys_numbers_is_recorded_and_used_again(tunable: Workspace):
    problem = changed(tunable.problem, search_space=_distribution)
    tuned = candidate(tunable, tuning=True, problem=problem).facts["parameters"]
    assert type(tuned["logisticregression__C"]) is float
    assert candidate(tunable, tuning=False, problem=problem).facts["parameters"] == tuned


def test_a_search_space_that_the_journal_cannot_keep_is_refused_and_nothing_is_recorded(tunable: Workspace):
    problem = changed(tunable.problem, search_space=_estimators)
    with pytest.raises(ContractError, match=r"search_space: 'logisticregression': got LogisticRegression\(C=2.0\)"):
        candidate(tunable, tuning=True, problem=problem)
    assert tunable.journal.rows(tables.tunings) == []
    assert tunable.registry.versions() == []


def test_a_journal_belongs_to_one_problem(trained: Workspace):
    trained.journal.claim("toy")
    with pytest.raises(JournalError, match=r"belongs to the problem 'toy', this contract is 'other'\. Give it a home of its own"):
        trained.journal.claim("other")


def _outcome(record: dict[str, Any], check: str) -> str:
    return next(finding["outcome"] for finding in record["findings"] if finding["check"] == check)


def _search_space() -> dict[str, Any]:
    return {"logisticregression__C": [1e-6, 1.0]}


def _distribution() -> dict[str, Any]:
    return {"logisticregression__C": loguniform(0.5, 2.0)}


def _estimators() -> dict[str, Any]:
    return {"logisticregression": [LogisticRegression(C=2.0)]}


def _build_smaller():
    from toy.features import LogisticRegression, OneHotEncoder, StandardScaler, make_column_transformer, make_pipeline

    columns = make_column_transformer((StandardScaler(), ["amount"]), (OneHotEncoder(sparse_output=False), ["product"]))
    return make_pipeline(columns, LogisticRegression())


_build_smaller.__module__ = "toy.features"
