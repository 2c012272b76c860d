"""Realized cost against the cost at promotion, on made-up rows."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from toy.contract import PROBLEM
from workspaces import changed, toy_frame

from evergreen.candidate import DECISION
from evergreen.errors import ContractError
from evergreen.gate.record import json_safe
from evergreen.gate.statistics import paired_interval
from evergreen.monitoring.decay import Decay, judge
from evergreen.watches import DecayPolicy

DAYS = 25
ROWS = toy_frame(DAYS)


def with_decay(problem: Any = PROBLEM, **values: Any) -> Any:
    return changed(problem, retraining=changed(problem.retraining, decay=changed(problem.retraining.decay, **values)))


def wrong_in(share: float, *, seed: int = 0, rows: pd.DataFrame = ROWS) -> pd.DataFrame:
    """The rows with decisions of which this share is wrong."""
    wrong = np.random.default_rng(seed).random(len(rows)) < share
    return rows.assign(**{DECISION: rows["returned"].to_numpy() ^ wrong})


def record(share: float = 0.1, *, problem: Any = PROBLEM) -> dict[str, Any]:
    """What a decision record holds of a candidate that was wrong in this share of the holdout."""
    rows = wrong_in(share, seed=1)
    cost = problem.business.row_cost(rows, rows["returned"].to_numpy(), rows[DECISION].to_numpy())
    days = rows["prediction_time"].dt.strftime("%Y-%m-%d").to_numpy()
    kept = vars(paired_interval(cost, days, alpha=0.05))
    money = [{"name": "candidate", "cost_per_1000": 1_000.0}, {"name": "rule of thumb", "cost_per_1000": 4_321.0}]
    told: dict[str, Any] = json.loads(json.dumps(json_safe({"cost_level": kept, "money": money})))
    return told | {"provenance": {"contract": problem.digest()}}


def test_decisions_that_are_wrong_twice_as_often_are_decay():
    decay = judge(PROBLEM, wrong_in(0.2), record(0.1), window_end="2026-03-01T00:00:00+00:00")
    assert (decay.found, decay.is_judged, decay.rows, decay.clusters) == (True, True, len(ROWS), DAYS)
    assert decay.window_end == "2026-03-01T00:00:00+00:00"
    assert decay.sentence.startswith(
        f"Decay: 1,000 rows cost {1000 * decay.cost:,.0f} EUR, on the holdout {1000 * decay.before:,.0f} EUR; "
    )


def test_the_verdict_says_how_much_more_is_sure_in_words_that_have_no_negative_amount():
    for problem, sure in ((PROBLEM, "beyond the margin of"), (with_decay(margin_share=1.0), "within the margin of")):
        told = judge(problem, wrong_in(0.2), record(0.1, problem=problem))
        assert told.low is not None
        assert told.low > 0
        assert f"surely at least {1000 * told.low:,.0f} EUR more, {sure} {1000 * (told.margin or 0):,.0f} EUR. " in told.sentence
    told = judge(PROBLEM, wrong_in(0.05), record(0.1))
    assert f"that they cost more now is not sure, let alone more than the margin of {1000 * (told.margin or 0):,.0f} EUR. " in told.sentence
    assert " -" not in told.sentence


@pytest.mark.parametrize("share", [0.1, 0.05, 0.0])
def test_decisions_that_are_as_good_or_better_are_none(share: float):
    decay = judge(PROBLEM, wrong_in(share), record(0.1))
    assert (decay.found, decay.is_judged) == (False, True)
    assert decay.sentence.startswith("No decay: ")


def test_an_increase_that_is_not_sure_is_no_decay():
    decay = judge(PROBLEM, wrong_in(0.115), record(0.1))
    assert decay.increase > decay.margin > decay.low
    assert not decay.found


def test_an_increase_that_is_sure_but_small_is_no_decay():
    decay = judge(with_decay(margin_share=0.5), wrong_in(0.14), record(0.1, problem=with_decay(margin_share=0.5)))
    assert 0 < decay.low < decay.margin
    assert not decay.found


def margins() -> tuple[Decay, float]:
    """A judgement of decay, and the share at which its bound is exactly the margin."""
    decay = judge(PROBLEM, wrong_in(0.2), record(0.1))
    return decay, decay.low / decay.before


def test_it_is_decay_only_above_the_margin():
    decay, share = margins()
    for nudged, found in ((np.nextafter(share, 0) - 1e-12, True), (share + 1e-12, False)):
        problem = with_decay(margin_share=float(nudged))
        assert judge(problem, wrong_in(0.2), record(0.1, problem=problem)).found is found
    none = with_decay(margin_share=0.0)
    exactly = judge(none, wrong_in(0.1, seed=1), record(0.1, problem=none))
    assert (exactly.increase, exactly.found) == (0.0, False)
    assert decay.margin == pytest.approx(0.1 * decay.before)


def test_the_bound_is_made_of_the_gates_bounds_of_both_costs():
    decay = judge(PROBLEM, wrong_in(0.2), record(0.1))
    days = ROWS["prediction_time"].dt.strftime("%Y-%m-%d").to_numpy()

    def interval(share: float, seed: int) -> Any:
        rows = wrong_in(share, seed=seed)
        cost = PROBLEM.business.row_cost(rows, rows["returned"].to_numpy(), rows[DECISION].to_numpy())
        return paired_interval(cost, days, alpha=PROBLEM.retraining.decay.alpha)

    now, before = interval(0.2, 0), interval(0.1, 1)
    apart = np.sqrt((now.estimate - now.low) ** 2 + (before.high - before.estimate) ** 2)
    assert decay.low == pytest.approx(now.estimate - before.estimate - apart)
    assert decay.increase == pytest.approx(now.estimate - before.estimate)


def test_a_surer_bound_is_lower():
    lows = [judge(p, wrong_in(0.2), record(0.1, problem=p)).low for p in (with_decay(alpha=0.25), with_decay(alpha=0.01))]
    assert lows[0] > lows[1]


def test_nothing_is_taken_for_decay_more_often_than_promised():
    loose = with_decay(margin_share=0.0, alpha=0.1)
    told = record(0.15, problem=loose)
    cost = float(np.mean([judge(loose, wrong_in(0.15, seed=seed), told).cost for seed in range(100, 160)]))
    told["cost_level"]["estimate"] = cost  # as if the holdout had shown the truth; its own uncertainty stays
    found = [judge(loose, wrong_in(0.15, seed=seed), told).found for seed in range(100, 160)]
    assert sum(found) <= 10


def test_the_rule_of_thumb_is_told_on_the_same_rows_and_as_it_was():
    decay = judge(PROBLEM, wrong_in(0.2), record(0.1))
    shoes = (ROWS["product"] == "shoe").to_numpy()
    expected = PROBLEM.business.row_cost(ROWS, ROWS["returned"].to_numpy(), shoes.astype(int)).mean()
    assert decay.rule_of_thumb == pytest.approx(expected)
    assert decay.rule_of_thumb_before == pytest.approx(4.321)
    assert f"The rule of thumb costs {1000 * expected:,.0f} EUR on these rows, on the holdout 4,321 EUR." in decay.sentence


def assert_not_judged(decay: Decay, why: str) -> None:
    assert (decay.found, decay.is_judged, decay.cost, decay.low) == (False, False, None, None)
    assert decay.sentence.startswith("Decay was not judged: ")
    assert why in decay.sentence


@pytest.mark.parametrize(("rows", "judged"), [(500, True), (499, False)])
def test_fewer_rows_than_asked_for_are_not_judged(rows: int, judged: bool):
    few = with_decay(min_clusters=2)
    decay = judge(few, wrong_in(0.5).head(rows), record(0.1, problem=few))
    assert (decay.is_judged, decay.found) == (judged, judged)
    if not judged:
        assert_not_judged(decay, "499 rows in ")
        assert decay.sentence.endswith("that the champion predicted have an outcome; expected at least 500 in 2.")


@pytest.mark.parametrize(("days", "judged"), [(20, True), (19, False)])
def test_fewer_clusters_than_asked_for_are_not_judged(days: int, judged: bool):
    decay = judge(PROBLEM, wrong_in(0.5, rows=toy_frame(days)), record(0.1))
    assert (decay.is_judged, decay.found) == (judged, judged)
    if not judged:
        assert_not_judged(decay, "in 19 clusters")


def test_without_a_single_row_nothing_is_judged():
    assert_not_judged(judge(PROBLEM, wrong_in(0.5).head(0), record(0.1)), "0 rows in 0 clusters")


def test_without_a_decision_on_the_champion_nothing_is_judged():
    assert_not_judged(judge(PROBLEM, wrong_in(0.5), None), "no decision on the champion is recorded")


@pytest.mark.parametrize("level", [None, {}, {"estimate": 2.0, "se": None}])
def test_a_record_that_does_not_say_how_sure_the_cost_was_is_not_judged_by(level: Any):
    assert_not_judged(judge(PROBLEM, wrong_in(0.5), record(0.1) | {"cost_level": level}), "does not say how sure its cost was")


def test_a_record_of_an_earlier_evergreen_is_not_judged_by():
    old = {key: value for key, value in record(0.1).items() if key != "cost_level"}
    assert_not_judged(judge(PROBLEM, wrong_in(0.5), old), "does not say how sure its cost was")


def test_costs_by_another_contract_are_not_compared():
    dearer = changed(business=changed(PROBLEM.business, good_enough=0.06))
    assert_not_judged(judge(dearer, wrong_in(0.5), record(0.1)), "the contract has changed since the champion was decided on")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_costs_that_are_no_numbers_are_not_judged(value: float):
    def row_cost(rows: pd.DataFrame, y: np.ndarray, decision: np.ndarray) -> np.ndarray:
        return np.where(np.arange(len(rows)) == 7, value, 100.0 * (y != decision))

    odd = changed(business=changed(PROBLEM.business, row_cost=row_cost))
    level = record(0.1) | {"provenance": {"contract": odd.digest()}}
    assert_not_judged(judge(odd, wrong_in(0.5), level), "the cost or the cluster of some row is missing or infinite")


def test_rows_without_a_cluster_are_not_judged():
    problem = changed(gate=changed(PROBLEM.gate, cluster="region"), retraining=with_decay(min_clusters=2).retraining)
    rows = wrong_in(0.5)
    rows = rows.assign(region=rows["region"].where(np.arange(len(rows)) > 0))
    assert_not_judged(judge(problem, rows, record(0.1, problem=problem)), "the cost or the cluster of some row is missing")


def test_the_rows_are_left_as_they_were():
    rows = wrong_in(0.2)
    before = rows.copy(deep=True)
    judge(PROBLEM, rows, record(0.1))
    pd.testing.assert_frame_equal(rows, before)


@pytest.mark.parametrize(("values", "told"), [({"min_clusters": 1}, "min_clusters: got 1"), ({"alpha": 0.6}, "alpha: got 0.6")])
def test_a_policy_that_means_nothing_is_refused(values: dict[str, Any], told: str):
    with pytest.raises(ContractError, match=f"in DecayPolicy:\n  - {told}"):
        DecayPolicy(**values)


def test_rows_that_cost_nothing_as_before_are_no_decay():
    decay = judge(PROBLEM, wrong_in(0.0), record(0.0))
    assert (decay.is_judged, decay.low, decay.margin, decay.found) == (True, 0.0, 0.0, False)


def test_costs_below_zero_have_a_margin_above_it():
    def earned(rows: pd.DataFrame, y: np.ndarray, decision: np.ndarray) -> np.ndarray:
        return np.asarray(PROBLEM.business.row_cost(rows, y, decision) - 100.0)

    earning = changed(business=changed(PROBLEM.business, row_cost=earned))
    decay = judge(earning, wrong_in(0.2), record(0.1, problem=earning))
    assert decay.before < 0 < decay.low < decay.margin
    assert not decay.found
