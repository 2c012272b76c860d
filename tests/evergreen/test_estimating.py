import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from toy.contract import PROBLEM
from toy.tasks import MULTICLASS, REGRESSION
from workspaces import changed

from evergreen.data.joins import PREDICTION_TIME
from evergreen.evaluation import Predicted, central_cost
from evergreen.monitoring.calibrators import WAYS, held_out, log_loss
from evergreen.monitoring.estimating import Answered, Estimate, estimate

START = pd.Timestamp("2026-01-05", tz="UTC")
EARLIER, LATER = range(30), range(30, 60)


def world(days: range, *, hard: float = 0.0, sure: float = 1.0, luck: float = 0.0, seed: int = 0) -> tuple[Answered, np.ndarray]:
    """Orders of some days with a model that is `sure` times as sure as it should be; `hard` moves the rows, `luck` is shared by a day."""
    rng = np.random.default_rng([seed, days.start])
    day = np.repeat(np.array(days), 200)
    odds = rng.normal(-1 + hard, 1.2, len(day)) + luck * rng.normal(size=days.stop)[day]
    happened = (rng.random(len(day)) < 1 / (1 + np.exp(-odds))).astype(int)
    told = 1 / (1 + np.exp(-sure * odds))
    rows = pd.DataFrame({"order_id": [f"o{n}" for n in range(len(day))], PREDICTION_TIME: START + pd.to_timedelta(day, unit="D")})
    return Answered(rows.assign(returned=happened, product="shoe"), Predicted((told >= 1 / 3).astype(int), told)), happened


def estimated(known: Answered, coming: Answered, problem=PROBLEM) -> Estimate:
    found = estimate(problem, known, coming)
    assert isinstance(found, Estimate), found
    return found


@pytest.mark.parametrize("sure", [1.0, 1.8, 0.6], ids=["right", "too sure", "not sure enough"])
@pytest.mark.parametrize("hard", [0.0, 0.7], ids=["alike", "harder"])
def test_cost_and_auc_are_told_before_their_outcomes_however_sure_the_model_is(sure: float, hard: float):
    known, _ = world(EARLIER, sure=sure)
    coming, happened = world(LATER, sure=sure, hard=hard)
    found = estimated(known, Answered(coming.rows.drop(columns="returned"), coming.said))
    cost = float(central_cost(PROBLEM, coming.rows, happened, coming.said).mean())
    assert found.cost.low < cost < found.cost.high
    assert found.cost.estimate == pytest.approx(cost, abs=0.25)
    assert found.auc is not None
    assert found.auc.estimate == pytest.approx(roc_auc_score(happened, coming.said.probability), abs=0.02)
    assert found.predicted == pytest.approx(happened.mean(), abs=0.02)
    assert found.calibrated_on == len(known.rows)


def test_harder_rows_are_seen_and_other_ends_of_the_same_rows_are_not():
    known, _ = world(EARLIER)
    alike, harder = (estimated(known, world(LATER, hard=hard)[0]).cost for hard in (0.0, 0.7))
    assert harder.low > alike.estimate
    coming, happened = world(LATER)
    turned = float(central_cost(PROBLEM, coming.rows, 1 - happened, coming.said).mean())
    assert turned > estimated(known, coming).cost.high  # concept drift: that is what it says it cannot know


def test_the_interval_holds_what_chance_does_about_as_often_as_it_says():
    inside = []
    for seed in range(60):
        known, _ = world(EARLIER, luck=0.5, seed=seed)
        coming, happened = world(LATER, luck=0.5, seed=seed)
        found = estimated(known, coming)
        inside.append(found.cost.low < central_cost(PROBLEM, coming.rows, happened, coming.said).mean() < found.cost.high)
    assert 0.8 <= np.mean(inside) <= 0.99  # it says 90%


def test_no_outcome_of_the_rows_to_come_is_looked_at():
    known, _ = world(EARLIER)
    coming, happened = world(LATER)
    turned = Answered(coming.rows.assign(returned=1 - happened), coming.said)
    assert estimated(known, coming) == estimated(known, turned)


def test_several_classes_are_estimated_by_their_costs():
    rng = np.random.default_rng(8)
    answered = []
    for start in (0, 30):
        day = np.repeat(np.arange(start, start + 30), 100)
        chance = rng.dirichlet((2, 1, 1), len(day))
        truth = (rng.random((len(day), 1)) > chance.cumsum(axis=1)).sum(axis=1)
        rows = pd.DataFrame({PREDICTION_TIME: START + pd.to_timedelta(day, unit="D"), "wanted": truth.astype(float)})
        answered.append(Answered(rows, Predicted(chance.argmax(axis=1), chance, ("0", "1", "2"))))
    found = estimated(*answered, problem=MULTICLASS)
    real = central_cost(MULTICLASS, answered[1].rows, answered[1].rows["wanted"].to_numpy().astype(int), answered[1].said).mean()
    assert found.cost.low < real < found.cost.high
    assert (found.auc, found.predicted) == (None, None)
    fewer = Answered(answered[0].rows, Predicted(answered[0].said.decision, answered[0].said.probability[:, :2], ("0", "1")))
    assert estimate(MULTICLASS, fewer, answered[1]) == "some outcomes are of classes that the version does not know"


def test_what_cannot_be_estimated_says_why():
    known, _ = world(EARLIER)
    coming, _ = world(LATER)
    assert estimate(REGRESSION, known, coming) == "a number has no probability that an estimate could rest on"
    bare = Answered(known.rows, Predicted(known.said.decision))
    assert estimate(PROBLEM, bare, coming) == "the version gives no finite probabilities"
    broken = Answered(known.rows, Predicted(known.said.decision, np.where(np.arange(len(known.rows)) == 3, np.nan, 0.5)))
    assert estimate(PROBLEM, broken, coming) == "the version gives no finite probabilities"
    few = Answered(known.rows.head(400), Predicted(known.said.decision[:400], known.said.probability[:400]))
    assert "400 rows in 2 clusters" in str(estimate(PROBLEM, few, coming))
    wide = changed(performance=changed(PROBLEM.performance, min_clusters=2))
    assert isinstance(estimate(wide, few, coming), Estimate)


def test_a_class_that_nothing_came_to_costs_nothing_and_needs_no_price():
    rng = np.random.default_rng(10)
    answered = []
    for start in (0, 30):
        day = np.repeat(np.arange(start, start + 30), 20)
        rows = pd.DataFrame({PREDICTION_TIME: START + pd.to_timedelta(day, unit="D"), "wanted": rng.integers(0, 2, len(day)).astype(float)})
        answered.append(Answered(rows, Predicted(np.zeros(len(day), dtype=int), np.full((len(day), 3), 1 / 3), ("0", "1", "2"))))
    found = estimated(*answered, problem=MULTICLASS)  # its costs are looked up by number: the name of a class would be none
    assert found.cost.estimate == pytest.approx(2.5, abs=0.3)


def test_a_cost_or_a_cluster_that_is_missing_is_said_and_not_guessed():
    known, _ = world(EARLIER)
    coming, _ = world(LATER)
    business = changed(PROBLEM.business, row_cost=lambda rows, y, decision: np.full(len(rows), np.nan))
    assert estimate(changed(business=business), known, coming) == "the cost of some row is missing or infinite"
    apart = changed(gate=changed(PROBLEM.gate, cluster="product"))
    without = Answered(coming.rows.assign(product=None), coming.said)
    assert estimate(apart, known, without) == "the cluster of some row is missing"
    nothing = Answered(known.rows.head(0), Predicted(known.said.decision[:0], known.said.probability[:0]))
    assert estimate(PROBLEM, nothing, coming) == "there is no row to calibrate on, or none to come"


def test_probabilities_that_separate_the_outcomes_are_calibrated_all_the_same():
    told = np.linspace(0.05, 0.95, 200)
    calibrated = WAYS["Platt"](told, (told > 0.5).astype(float))(np.array([0.2, 0.8]))
    assert calibrated == pytest.approx([0, 1], abs=0.01)


def test_the_better_way_is_taken_as_rows_show_that_it_was_not_fitted_on():
    rng = np.random.default_rng(9)
    told, day = rng.uniform(0.05, 0.95, 6_000), np.repeat(np.arange(30), 200)
    stepwise = (rng.random(6_000) < np.where(told < 0.5, 0.1, 0.6)).astype(float)
    smooth = (rng.random(6_000) < 1 / (1 + np.exp(-0.5 * np.log(told / (1 - told))))).astype(float)
    losses = {
        name: {way: log_loss(held_out(fit, told, happened, day), happened) for way, fit in WAYS.items()}
        for name, happened in (("steps", stepwise), ("curve", smooth))
    }
    assert losses["steps"]["isotonic"] < losses["steps"]["Platt"]
    assert losses["curve"]["Platt"] < losses["curve"]["isotonic"]


def test_a_row_is_calibrated_without_the_stretch_of_days_that_it_stands_in():
    told, day = np.linspace(0.1, 0.9, 100), np.repeat(np.arange(10), 10)
    happened = (day < 2).astype(float)  # whoever had seen these days would know
    assert held_out(WAYS["Platt"], told, happened, day)[:20].max() == 0.0


def test_where_only_one_thing_happened_that_is_what_is_expected():
    assert WAYS["Platt"](np.array([0.2, 0.8]), np.array([0.0, 0.0]))(np.array([0.5])).tolist() == [0.0]
    assert WAYS["Platt"](np.array([0.5, 0.5]), np.array([0.0, 1.0]))(np.array([0.9])).tolist() == [0.5]
