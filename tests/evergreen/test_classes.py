"""Classes by any name, known to all models or to some: labels, probabilities, and what is measured of them."""

from pathlib import Path

import gate_evidence as given
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from toy.tasks import MULTICLASS, MULTICLASS_WITHOUT_TIME

from evergreen.candidate import predicted
from evergreen.evaluation import dummy, read_predicted
from evergreen.gate.evidence import CANDIDATE
from evergreen.gate.metrics import metrics_of
from evergreen.training import training_target

X = pd.DataFrame({"x": np.arange(60.0)})


def said_by(labels: list, path: Path) -> tuple[pd.DataFrame, LogisticRegression]:
    model = LogisticRegression().fit(X, np.resize(np.array(labels), 60))
    predicted(model, X).to_parquet(path)
    return pd.read_parquet(path), model


def measured(y: list, probability: list, classes: tuple[str, ...]) -> dict:
    labels = np.array(y)
    evidence = given.make_evidence(task="multiclass", y=labels)
    evidence = given.change(evidence, CANDIDATE, decision=labels, probability=np.array(probability), classes=classes)
    return metrics_of(given.without(evidence, *(name for name in evidence.contenders if name != CANDIDATE)))[CANDIDATE]


@pytest.mark.parametrize(
    ("labels", "kind"), [([0.0, 2.0, 1.0], "i"), ([0.5, 2.0, 1.0], "f"), ([np.nan, 2.0, 1.0], "f"), (["a", "b", "c"], "O")]
)
def test_numbered_classes_are_whole_numbers_again_and_all_else_stays(labels: list, kind: str):
    target = training_target(pd.DataFrame({"wanted": pd.Series(labels)}), MULTICLASS)
    assert target.dtype.kind == kind
    np.testing.assert_array_equal(target, np.array(labels, dtype=target.dtype))


def test_an_infinite_label_stays_what_it_is():
    assert training_target(pd.DataFrame({"wanted": [np.inf, 1.0]}), MULTICLASS).tolist() == [np.inf, 1.0]


@pytest.mark.parametrize("labels", [["a", "b", "c"], [1, 2, 10], ["a", "c"], [1, 2]])
def test_probabilities_of_several_classes_come_back_with_their_names(labels: list, tmp_path: Path):
    _, model = said_by(labels, tmp_path / "said.parquet")
    read = read_predicted(tmp_path / "said.parquet", "multiclass")
    assert read.classes == tuple(map(str, labels))
    np.testing.assert_array_equal(read.probability, model.predict_proba(X))
    assert read.decision.tolist() == model.predict(X).tolist()


def test_of_several_classes_those_numbered_0_and_1_have_a_column_each_too(tmp_path: Path):
    written, model = said_by([0, 1], tmp_path / "said.parquet")
    assert list(written.columns) == ["decision", "probability"]
    read = read_predicted(tmp_path / "said.parquet", "multiclass")
    assert read.classes == ("0", "1")
    np.testing.assert_allclose(read.probability, model.predict_proba(X))


def test_the_dummy_of_several_classes_names_them():
    said = dummy(MULTICLASS_WITHOUT_TIME, np.array(["b", "a", "b", "c"], dtype=object), 2)
    assert said.classes == ("a", "b", "c")
    assert said.probability.tolist() == [[0.25, 0.5, 0.25]] * 2
    assert said.decision.tolist() == ["b", "b"]


def test_the_log_loss_goes_by_the_names_of_the_columns_whatever_their_order():
    probability = [[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6]]
    told = measured([9, 10, 11], probability, ("9", "10", "11"))
    assert told == pytest.approx({"accuracy": 1.0, "log_loss": -np.log([0.7, 0.6, 0.6]).mean()})
    assert told["log_loss"] == pytest.approx(log_loss([9, 10, 11], probability))


def test_a_class_without_holdout_rows_does_not_hide_the_log_loss():
    assert measured(["a", "b"], [[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]], ("a", "b", "c"))["log_loss"] == pytest.approx(
        -np.log([0.7, 0.6]).mean()
    )


@pytest.mark.parametrize(
    ("probability", "classes"), [([[0.7, 0.3], [0.4, 0.6]], ("a", "b")), ([[0.7, 0.2, 0.1]] * 2, ()), ([[1.0]] * 2, ("a",))]
)
def test_there_is_no_log_loss_of_classes_that_a_model_does_not_know(probability: list, classes: tuple[str, ...]):
    assert measured(["a", "c"], probability, classes) == {"accuracy": 1.0, "log_loss": None}
