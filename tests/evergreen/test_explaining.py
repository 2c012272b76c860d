import dataclasses
import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from candidates import toy_candidate, toy_registry, toy_rows
from logged import put
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from toy import features
from toy.contract import PROBLEM
from workspaces import open_space

from evergreen import journal as tables
from evergreen.candidate import predicted
from evergreen.errors import DataError, JournalError, RegistryError, StoreError
from evergreen.explaining import Explained, explain_served
from evergreen.files import digest_text
from evergreen.journal import log
from evergreen.workspace import Workspace

ROWS = toy_rows(range(20, 22))[list(PROBLEM.features)].head(3)
MODEL = toy_candidate().estimator
SAID = predicted(MODEL, ROWS)


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A home with one version."""
    registry = toy_registry(tmp_path_factory.mktemp("explained"))
    registry.register(toy_candidate())
    yield Workspace(registry.settings, PROBLEM, registry.journal)
    registry.journal.close()


def test_a_served_prediction_is_computed_again_step_by_step_and_comes_out_the_same(space: Workspace):
    ids = put(space.journal, ROWS, SAID, entities=["o1", None, 7])
    told = explain_served(space, ids[0])
    assert (told.name, told.version, told.entity, told.faults) == (ids[0], 1, "o1", ())
    assert told.inputs == ROWS.iloc[0].to_dict()
    assert told.said == told.logged == SAID.iloc[0].to_dict()
    load, scaled = told.way["stages"]
    assert load["values"]["load"] == ROWS["amount"].iloc[0] / ROWS["stock_level"].iloc[0]
    assert list(scaled["values"].values()) == MODEL.estimator_[:2].transform(ROWS.head(1))[0].tolist()
    score = MODEL.estimator_[-1].predict_proba(np.array([list(scaled["values"].values())]))[0, 1]
    assert abs(score - told.said["probability"]) < 1e-12
    assert told.said["decision"] == int(score >= told.way["threshold"])
    assert explain_served(space, ids[2]).entity == "7"


@pytest.mark.parametrize(("off", "differs"), [(0.0, False), (9e-10, False), (1.1e-9, True)])
def test_an_answer_is_the_same_up_to_a_billionth(space: Workspace, off: float, differs: bool):
    (name, *_) = put(space.journal, ROWS, SAID.assign(probability=SAID["probability"] + off))
    told = explain_served(space, name)
    assert bool(told.faults) is differs
    if differs:
        assert f"probability was {told.logged['probability']}, is {told.said['probability']}" in told.faults[0]
        assert "decision" not in told.faults[0].partition(";")[0]


def test_an_answer_to_other_features_than_those_in_the_log_is_found(space: Workspace):
    (name, *_) = put(space.journal, ROWS.assign(amount=ROWS["amount"] + 1), SAID)
    (fault,) = explain_served(space, name).faults
    assert fault.startswith("The version gives another answer than was logged: probability was")
    (name, *_) = put(space.journal, ROWS, SAID.assign(decision=1 - SAID["decision"]))
    (fault,) = explain_served(space, name).faults
    assert f"decision was {1 - SAID['decision'].iloc[0]}, is {SAID['decision'].iloc[0]};" in fault


def changed(space: Workspace, prediction: str, **values: str) -> None:
    """Somebody edits the log by hand."""
    with space.journal.writing() as connection:
        connection.execute(sa.update(tables.served).where(tables.served.c.prediction == prediction).values(**values))


def test_inputs_that_were_changed_in_the_log_are_found_by_their_digest(space: Workspace):
    (name, *_) = put(space.journal, ROWS, SAID)
    inputs = space.journal.rows(tables.served, prediction=name)[0]["inputs"]
    changed(space, name, inputs=f" {inputs}")  # the same row, so the same answer
    (fault,) = explain_served(space, name).faults
    assert "their digest is another one" in fault


@pytest.mark.parametrize("inputs", ['{"amount": 1}', '{"product": "shoe", "amount": "many", "stock_level": 70}', "[1]"])
def test_inputs_that_are_no_row_of_the_version_are_told_in_a_sentence(space: Workspace, inputs: str):
    (name, *_) = put(space.journal, ROWS, SAID)
    changed(space, name, inputs=inputs)
    with pytest.raises(StoreError, match=f"The logged inputs of {name} are no row of version 1: .* Restore it from a backup"):
        explain_served(space, name)


def test_an_answer_of_another_shape_is_told(space: Workspace):
    (name, *_) = put(space.journal, ROWS, SAID[["decision"]])
    assert explain_served(space, name).faults == ("The answer has decision, probability now, and had decision then.",)


def test_an_unknown_id_names_the_nearest_or_the_newest(space: Workspace):
    (name, *_) = put(space.journal, ROWS.head(1), SAID.head(1))
    with pytest.raises(JournalError, match=rf"There is no prediction '{name}0' in the log\. The nearest: .*{name}"):
        explain_served(space, f"{name}0")
    with pytest.raises(JournalError, match=rf"There is no prediction 'what' in the log\. The newest: {name}, "):
        explain_served(space, "what")


def test_an_id_that_a_clean_up_removed_and_an_empty_log_are_told(tmp_path):
    other = open_space(tmp_path)
    with pytest.raises(JournalError, match=r"There is no prediction 'x' in the log\. Nothing is in the log\. An answer"):
        explain_served(other, "x")
    (name, *_) = put(other.journal, ROWS, SAID)
    log.remove_before(other.journal, pd.Timestamp("2027-01-01", tz="UTC").to_pydatetime(), reason="by evergreen clean: old")
    told = r"Others were removed: 3 predictions asked until 2026-01-05T12:00:00, by evergreen clean: old\."
    with pytest.raises(JournalError, match=told):
        explain_served(other, name)
    other.journal.close()


def test_a_version_that_is_not_there_any_more_is_told(space: Workspace):
    (name, *_) = put(space.journal, ROWS, SAID, version=9)
    with pytest.raises(RegistryError, match=r"There is no version 9 of toy; registered: "):
        explain_served(space, name)
    gone = space.registry.register(toy_candidate("gone", days=7)).number
    space.journal.add(tables.removals, removal=digest_text("r"), kind="model", name=str(gone), reason="by evergreen clean")
    (name, *_) = put(space.journal, ROWS, SAID, version=gone)
    with pytest.raises(StoreError, match=rf"The model of version {gone} is not there any more: `evergreen clean` removed it"):
        explain_served(space, name)


def test_the_very_version_answers_and_not_a_later_one(space: Workspace):
    later = space.registry.register(toy_candidate("another", days=4)).number
    ids = put(space.journal, ROWS, SAID), put(space.journal, ROWS, SAID, version=later)
    first, second = (explain_served(space, one[0]) for one in ids)
    assert (first.faults, len(second.faults)) == ((), 1)
    assert second.said["probability"] != first.said["probability"]


def explained(space: Workspace, key: str, estimator, rows: pd.DataFrame = ROWS) -> Explained:
    candidate = toy_candidate(key, estimator=estimator)
    version = space.registry.register(candidate).number
    return explain_served(space, put(space.journal, rows, predicted(candidate.estimator, rows), version=version)[0])


def test_a_model_that_has_no_steps_shows_inputs_score_and_decision(space: Workspace):
    from sklearn.calibration import CalibratedClassifierCV

    told = explained(space, "calibrated", CalibratedClassifierCV(features.build_estimator(), cv=2))
    assert (told.way["stages"], told.way["model"], told.faults) == (None, "CalibratedClassifierCV", ())
    assert told.said == pytest.approx(told.logged, rel=0, abs=1e-9)


def test_missing_values_come_back_as_missing(space: Workspace):
    from sklearn.impute import SimpleImputer

    numbers = make_pipeline(
        FunctionTransformer(features.add_load), features.build_estimator()[1], SimpleImputer(), features.build_estimator()[2]
    )
    rows = ROWS.assign(stock_level=ROWS["stock_level"].astype(float).where([False, True, True]))
    candidate = toy_candidate("holes", estimator=numbers)
    golden = candidate.golden.assign(stock_level=candidate.golden["stock_level"].astype(float))
    version = space.registry.register(dataclasses.replace(candidate, golden=golden)).number
    told = explain_served(space, put(space.journal, rows, predicted(candidate.estimator, rows), version=version)[0])
    assert (told.inputs["stock_level"], told.faults) == (None, ())
    assert told.way["stages"][0]["values"]["stock_level"] is None
    assert json.loads(space.journal.rows(tables.served, prediction=told.name)[0]["inputs"])["stock_level"] is None


def test_nothing_is_published_for_that_day(space: Workspace):
    from evergreen.explaining import explain_published

    with pytest.raises(DataError, match="Nothing is published for '2026-01-05'; published: nothing yet"):
        explain_published(space, "2026-01-05", "o1")
