from pathlib import Path

import pytest
from workspaces import changed, deliver_days, ingest, open_space

from evergreen import journal as tables
from evergreen import retraining
from evergreen.data.snapshots import take_snapshot
from evergreen.errors import JournalError
from evergreen.promotion import rollback, standing
from evergreen.workspace import Workspace

LOCK = Path(__file__).parents[2] / "requirements.txt"


@pytest.fixture
def trained(tmp_path: Path) -> Workspace:
    """A toy workspace whose first champion has been trained on 70 days."""
    space = open_space(tmp_path)
    deliver_days(space, 70)
    ingest(space)
    assert retrain(space)["verdict"] == "promote"
    return space


def retrain(space: Workspace) -> dict:
    """What the training flow does, without Prefect."""
    snapshot = take_snapshot(space.journal, space.problem)
    record = retraining.earlier_verdict(space, snapshot)
    if record is None:
        material = retraining.prepare(space, snapshot)
        candidate = retraining.make_candidate(space, material, tuning=False)
        record = retraining.decide(space, material, candidate, retraining.ask_models(space, material, candidate))
    retraining.apply(space, record)
    return record


def test_the_same_data_are_judged_once_and_paid_for_once(trained: Workspace):
    first = trained.journal.rows(tables.decisions)
    assert retrain(trained) == first[0]["record"]
    assert trained.journal.rows(tables.decisions) == first
    assert len(trained.journal.rows(tables.ledger)) == 1


def test_a_schedule_without_outcomes_teaches_nothing_and_costs_nothing(trained: Workspace):
    deliver_days(trained, 5, start=70, without=("outcomes",))
    ingest(trained)
    assert retrain(trained)["candidate"]["version"] == 1
    assert len(trained.registry.versions()) == 1
    assert len(trained.journal.rows(tables.ledger)) == 1


def test_another_recipe_on_the_same_data_is_trained_and_judged(trained: Workspace):
    other = Workspace(trained.settings, changed(trained.problem, features=("product", "amount", "stock_level", "region")), trained.journal)
    record = retrain(other)
    assert record["candidate"]["version"] == 2
    assert record["champion"]["version"] == 1


def test_a_champion_is_given_the_features_that_it_was_trained_with(trained: Workspace):
    fewer = changed(trained.problem, features=("product", "amount"), build_estimator=_build_smaller)
    deliver_days(trained, 30, start=70)
    ingest(trained)
    record = retrain(Workspace(trained.settings, fewer, trained.journal))
    assert record["champion"]["version"] == 1
    assert {finding["check"] for finding in record["findings"]} >= {"champion", "hygiene"}


def test_a_version_that_was_rolled_back_from_does_not_come_back_by_itself(trained: Workspace):
    deliver_days(trained, 30, start=70)
    ingest(trained)
    assert retrain(trained)["verdict"] == "promote"
    rollback(trained.registry, reason="it looks wrong", person="ana")
    retrain(trained)
    assert standing(trained.journal).champion == 1


def test_a_journal_belongs_to_one_problem(trained: Workspace):
    trained.journal.claim("toy")
    with pytest.raises(JournalError, match=r"belongs to the problem 'toy', this contract is 'other'\. Give it a home of its own"):
        trained.journal.claim("other")


def _build_smaller():
    from toy.features import LogisticRegression, OneHotEncoder, StandardScaler, make_column_transformer, make_pipeline

    columns = make_column_transformer((StandardScaler(), ["amount"]), (OneHotEncoder(sparse_output=False), ["product"]))
    return make_pipeline(columns, LogisticRegression())


_build_smaller.__module__ = "toy.features"
