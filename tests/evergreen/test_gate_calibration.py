import dataclasses

import gate_evidence as given
import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from evergreen.gate.calibration import (
    Gaps,
    blocks_of,
    calibration_error,
    chance_error,
    gaps,
    loss_bound,
    quantile_bins,
    recalibration_slope,
)
from evergreen.gate.checks_calibration import calibration
from evergreen.gate.evidence import CANDIDATE, CHAMPION
from evergreen.gate.finding import Outcome
from evergreen.policies import GatePolicy

POLICY = GatePolicy()
ALPHA = POLICY.alpha


def world(seed, *, days=30, per_day=100, swing=0.6):
    """Right probabilities of days that swing, outcomes, and the days: the model knows the average day only."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), per_day)
    x = rng.normal(size=len(day)) - 1.6
    y = (rng.random(len(day)) < expit(x + swing * rng.normal(size=days)[day])).astype(float)
    return expit(x / np.sqrt(1 + 0.346 * swing**2)), y, day


def found(p, y, day, *, binned=True):
    return gaps(p[:, None], y[:, None], blocks_of(day), binned=binned)


def shifted(p, by):
    return expit(logit(p) + by)


def surer(p, times):
    return expit((logit(p) + 1.5) * times - 1.5)


def test_the_error_is_what_a_hand_computes():
    # one bin; days of 2 and 1 rows with gaps 0.5, -0.2 and 0.3: mean 0.2, sums less mean -0.1 and 0.1, variance 2 * 0.02 / 9
    p, y = np.array([0.5, 0.8, 0.3]), np.array([0.0, 1.0, 0.0])
    one = found(p, y, np.array(["a", "a", "b"]), binned=False)
    assert one.mean == pytest.approx([0.2])
    assert one.noise == pytest.approx(0.04 / 9)
    assert calibration_error(one) == pytest.approx((0.04 - 0.04 / 9) ** 0.5)


def test_bins_hold_as_many_rows_and_equal_values_share_one():
    rng = np.random.default_rng(0)
    assert (np.bincount(quantile_bins(rng.random(1000))) == 100).all()
    tied = np.where(rng.random(1000) < 0.5, 0.2, rng.random(1000))
    bins = quantile_bins(tied)
    assert len(np.unique(bins[tied == 0.2])) == 1
    assert sorted(np.unique(bins)) == list(range(bins.max() + 1))
    assert (quantile_bins(np.full(5, 0.3)) == 0).all()


def test_what_the_days_swing_is_no_error_of_the_probabilities():
    errors, naive = [], []
    for seed in range(20):
        one = found(*world(seed))
        errors.append(calibration_error(one) ** 2 * np.sign(calibration_error(one)))
        naive.append(one.weights @ one.mean**2)
    assert np.mean(naive) ** 0.5 > 0.025
    assert np.mean(errors) ** 0.5 < 0.017


@pytest.mark.parametrize("off", [0.05, 0.1])
def test_probabilities_that_are_off_are_found_to_be_off_by_as_much(off):
    errors = []
    for seed in range(10):
        p, y, day = world(seed, swing=0.0)
        errors.append(calibration_error(found(p + off, y, day)))
    assert np.mean(errors) == pytest.approx(off, abs=0.005)


def test_chance_exceeds_its_bound_about_as_often_as_it_says():
    above = []
    for seed in range(100):
        one = found(*world(seed, per_day=30))
        above.append(calibration_error(one) > chance_error(one, alpha=0.1))
    assert 0.02 <= np.mean(above) <= 0.2


def test_more_clusters_than_the_limit_are_put_together_in_their_order():
    block = blocks_of(np.arange(1000)[::-1])
    assert (np.bincount(block) >= 2).all()
    assert (len(np.unique(block)), block.max()) == (400, 399)
    assert (np.diff(block) <= 0).all()
    assert (blocks_of(np.array(["b", "a", "c", "a"])) == [1, 0, 2, 0]).all()
    p, y, _ = world(0, swing=0.0)
    together, apart = found(p, y, np.arange(3000)), found(p, y, np.repeat(np.arange(300), 10))
    assert together.noise == pytest.approx(apart.noise, rel=0.2)


def test_with_one_cluster_nothing_is_known():
    p, y, day = world(0)
    one = found(p, y, np.zeros_like(day))
    assert np.isnan(calibration_error(one))
    assert np.isnan(loss_bound(one, one, alpha=0.05))


def test_the_same_probabilities_lose_nothing_and_worse_ones_what_they_are_worse_by():
    bounds = []
    for seed in range(10):
        p, y, day = world(seed, swing=0.2)
        right, off = found(p, y, day), found(np.minimum(p + 0.1, 1), y, day)
        assert loss_bound(right, right, alpha=0.05) == 0.0
        assert loss_bound(right, off, alpha=0.05) < 0
        bounds.append(loss_bound(off, right, alpha=0.05))
    assert 0.05 < np.mean(bounds) < 0.095


def test_chance_is_taken_off_twice_where_resampling_added_it_again():
    noise = np.random.default_rng(0).normal(size=(30, 1))
    noise = 0.2 * (noise - noise.mean()) / noise.std(ddof=1)
    one, none = Gaps(0.1 + noise, np.ones((30, 1))), Gaps(np.zeros((30, 1)), np.ones((30, 1)))
    assert one.noise == pytest.approx(0.04 / 30)
    assert loss_bound(one, none, alpha=0.5) == pytest.approx((0.01 - 2 * 0.04 / 30) ** 0.5, abs=0.003)  # once would be 0.0931


def test_the_order_of_rows_changes_nothing():
    p, y, day = world(1)
    other = surer(p, 1.5)
    order = np.random.default_rng(0).permutation(len(p))
    for binned in (True, False):
        one, two = (found(each, y, day, binned=binned) for each in (other, p))
        shuffled = [found(each[order], y[order], day[order], binned=binned) for each in (other, p)]
        assert loss_bound(*shuffled, alpha=0.05) == pytest.approx(loss_bound(one, two, alpha=0.05), abs=1e-12)
        assert chance_error(shuffled[0], alpha=0.05) == pytest.approx(chance_error(one, alpha=0.05), abs=1e-12)


def test_the_slope_is_that_of_a_logistic_regression():
    p, y, day = world(2)
    too_sure = surer(p, 2.0)
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(logit(too_sure)[:, None], y).coef_[0, 0]
    assert recalibration_slope(too_sure, y, day, alpha=0.05).estimate == pytest.approx(oracle, rel=1e-4)


def test_the_slopes_standard_error_is_what_whole_days_left_out_show():
    p, y, day = world(3)
    one = recalibration_slope(p, y, day, alpha=0.05)
    left = np.array([recalibration_slope(p[day != d], y[day != d], day[day != d], alpha=0.05).estimate for d in range(30)])
    jackknife = (29 / 30 * ((left - left.mean()) ** 2).sum()) ** 0.5
    assert one.se == pytest.approx(jackknife, rel=0.1)
    X = np.column_stack([np.ones_like(p), logit(p)])
    beta = LogisticRegression(C=np.inf, tol=1e-10).fit(X[:, 1:], y)
    q = beta.predict_proba(X[:, 1:])[:, 1]
    bread = np.linalg.inv((X * (q * (1 - q))[:, None]).T @ X)
    sums = [((y - q)[day == d, None] * X[day == d]).sum(axis=0) for d in range(30)]
    sandwich = 30 / 29 * bread @ sum(np.outer(s, s) for s in sums) @ bread
    assert one.se == pytest.approx(sandwich[1, 1] ** 0.5, rel=1e-3)
    assert one.clusters == 30
    assert (one.high - one.estimate) / one.se == pytest.approx(1.699127, rel=1e-6)  # t with 29 degrees of freedom at 0.95


def test_there_is_no_slope_where_probabilities_are_alike_or_separate_the_outcomes():
    p, y, day = world(4)
    assert recalibration_slope(np.full_like(p, 0.3), y, day, alpha=0.05) is None
    assert recalibration_slope(np.where(y == 1, 0.9, 0.1), y, day, alpha=0.05) is None
    assert recalibration_slope(np.full_like(p, np.nan), y, day, alpha=0.05) is None


def test_probabilities_of_nought_and_one_have_a_slope_and_it_is_far_from_one():
    p, y, day = world(5)
    assert 0 < recalibration_slope((p > 0.3).astype(float), y, day, alpha=0.05).estimate < 0.3


def first(change=lambda p: p, **changes):
    p, y, day = world(0, days=40, per_day=50, **changes)
    evidence = given.make_evidence(first=True, y=y.astype(int), cluster=day)
    return given.change(evidence, CANDIDATE, probability=change(p))


def later(own=lambda p: p, champions=lambda p: p, **changes):
    p, y, day = world(0, days=40, per_day=50, **changes)
    evidence = given.make_evidence(y=y.astype(int), cluster=day)
    return given.change(given.change(evidence, CANDIDATE, probability=own(p)), CHAMPION, probability=champions(p))


def ask(evidence, **policy):
    return calibration(evidence, GatePolicy(**policy), ALPHA)


def test_a_first_model_whose_probabilities_are_right_passes():
    finding = ask(first())
    assert finding.outcome is Outcome.PASS
    assert "can be taken at their word" in finding.reason
    assert finding.estimate <= finding.threshold == 0.04


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: shifted(p, 0.8), "points too high"),
        (lambda p: shifted(p, -0.9), "points too low"),
        (lambda p: surer(p, 2.0), "they are too sure"),
        (lambda p: surer(p, 0.5), "they are not sure enough"),
        (lambda p: (p > 0.3).astype(float), "they are too sure"),
    ],
)
def test_a_first_model_whose_probabilities_are_off_is_held(change, said):
    finding = ask(first(change))
    assert finding.outcome is Outcome.HOLD
    assert said in finding.reason
    assert "CalibratedClassifierCV" in finding.settle


def test_the_error_may_be_exactly_the_limit():
    evidence = first(lambda p: shifted(p, 0.5))
    error = ask(evidence).estimate
    assert ask(evidence, max_calibration_error=error).outcome is Outcome.PASS
    assert ask(evidence, max_calibration_error=np.nextafter(error, 0)).outcome is Outcome.HOLD


def test_an_error_that_chance_explains_is_no_error():
    evidence = first(lambda p: shifted(p, 0.6), swing=2.5)  # such days swing so widely that 40 of them show little
    at = {"max_calibration_error": 0.01, "calibration_slope": (0.01, 99.0)}
    likely, unlikely = (ask(evidence, evidence_alpha=chance, **at) for chance in (0.001, 0.5))
    assert likely.estimate > 0.01
    assert (likely.outcome, unlikely.outcome) == (Outcome.PASS, Outcome.HOLD)
    assert "more than chance explains" in unlikely.reason


def test_the_slope_may_be_exactly_a_limit():
    for change, side in ((lambda p: surer(p, 1.3), 0), (lambda p: surer(p, 0.75), 1)):
        evidence = first(change, swing=0.0)
        p, y = evidence.contenders[CANDIDATE].probability, evidence.y
        slope = recalibration_slope(p, y, evidence.cluster, alpha=0.05).estimate
        limits = [[0.1, 9.0], [0.1, 9.0]]
        limits[0][side], limits[1][side] = slope, np.nextafter(slope, 1)
        outcomes = [ask(evidence, max_calibration_error=1.0, calibration_slope=tuple(pair)).outcome for pair in limits]
        assert outcomes == [Outcome.PASS, Outcome.HOLD]


def test_a_slope_that_chance_explains_is_no_fault():
    evidence = first(swing=0.0)
    assert ask(evidence, calibration_slope=(0.1, 0.2)).outcome is Outcome.PASS  # near 1, and that is right whatever the limits are


def test_a_later_model_that_is_off_no_more_than_the_champion_passes():
    same = ask(later(lambda p: shifted(p, 0.8), lambda p: shifted(p, 0.8)))
    assert same.outcome is Outcome.PASS
    assert ask(later(lambda p: p, lambda p: shifted(p, 0.8))).outcome is Outcome.PASS


@pytest.mark.parametrize("change", [lambda p: shifted(p, 0.8), lambda p: surer(p, 2.0)], ids=["bias", "sureness"])
def test_a_later_model_that_is_surely_farther_off_than_the_champion_is_held(change):
    finding = ask(later(change))
    assert finding.outcome is Outcome.HOLD
    assert "surely farther off than the champion's, by more than 1.0 points" in finding.reason
    assert finding.settle


def test_the_loss_may_be_exactly_the_limit():
    evidence = later(lambda p: shifted(p, 0.8))
    bound = ask(evidence).low
    assert bound > 0.01
    assert ask(evidence, max_calibration_loss=bound).outcome is Outcome.PASS
    assert ask(evidence, max_calibration_loss=np.nextafter(bound, 0)).outcome is Outcome.HOLD


def test_a_bias_alone_is_enough():
    # the champion is as far off, but to both sides: on average it is nearly right
    evidence = later(lambda p: p + 0.08, lambda p: np.clip(p + np.where(p > np.median(p), 0.12, -0.12), 0, 1), swing=0.0)
    finding = ask(evidence)
    assert finding.outcome is Outcome.HOLD
    assert "farther off on average than" in finding.reason


def test_against_a_champion_without_probabilities_the_limits_of_a_first_model_hold():
    off = given.change(later(lambda p: shifted(p, 0.8)), CHAMPION, probability=None)
    assert ask(off).outcome is Outcome.HOLD
    assert ask(given.change(later(), CHAMPION, probability=None)).outcome is Outcome.PASS


def test_a_regression_has_no_probabilities_and_a_classifier_without_is_held():
    assert ask(dataclasses.replace(given.make_evidence(), task="regression")).outcome is Outcome.PASS
    finding = ask(given.change(later(), CANDIDATE, probability=None))
    assert finding.outcome is Outcome.HOLD
    assert finding.settle


@pytest.mark.parametrize("evidence", [first(), later()], ids=["first", "later"])
def test_numbers_that_are_none_one_day_and_equal_probabilities_never_pass(evidence):
    assert ask(given.change(evidence, CANDIDATE, probability=np.full(2000, np.nan))).outcome is Outcome.HOLD
    assert ask(dataclasses.replace(evidence, cluster=np.zeros(2000))).outcome is Outcome.HOLD
    constant = given.change(given.without(evidence, CHAMPION), CANDIDATE, probability=np.full(2000, evidence.y.mean()))
    assert "cannot be judged" in ask(constant).reason


def several(change=lambda p: p, *, champion=False):
    """Three classes with right probabilities, changed."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet([2, 1, 1], 2000)
    y = np.array(["a", "b", "c"])[(rng.random((2000, 1)) > p.cumsum(axis=1)).sum(axis=1)]
    evidence = given.make_evidence(task="multiclass", y=y, first=not champion)
    evidence = given.change(evidence, CANDIDATE, probability=change(p), classes=("a", "b", "c"))
    return given.change(evidence, CHAMPION, probability=p, classes=("a", "b", "c")) if champion else evidence


def sharpened(p):
    return p**3 / (p**3).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("champion", [False, True])
def test_of_several_classes_each_is_judged_against_the_rest(champion):
    assert ask(several(champion=champion)).outcome is Outcome.PASS
    assert ask(several(sharpened, champion=champion)).outcome is Outcome.HOLD
    assert ask(several(lambda p: p[:, [0, 2, 1]], champion=champion)).outcome is Outcome.HOLD


def test_probabilities_go_by_the_names_of_their_classes_not_by_their_place():
    evidence = several(champion=True)
    turned = given.change(
        evidence, CANDIDATE, probability=evidence.contenders[CANDIDATE].probability[:, [2, 0, 1]], classes=("c", "a", "b")
    )
    assert ask(turned) == ask(evidence)
    assert ask(given.change(turned, CANDIDATE, classes=("a", "b", "c"))).outcome is Outcome.HOLD
    assert ask(given.change(turned, CANDIDATE, classes=("a", "b", "d"))).outcome is Outcome.HOLD


def test_the_error_of_several_classes_is_that_of_each_all_alike():
    evidence = several(sharpened)
    p, block = evidence.contenders[CANDIDATE].probability, blocks_of(evidence.cluster)
    happened = (evidence.y[:, None] == np.array(["a", "b", "c"])).astype(float)
    alone = [calibration_error(gaps(p[:, [k]], happened[:, [k]], block)) ** 2 for k in range(3)]
    assert calibration_error(gaps(p, happened, block)) ** 2 == pytest.approx(np.mean(alone), rel=1e-9)


def test_columns_that_are_not_the_classes_that_occur_are_held():
    assert ask(several(lambda p: p[:, :2])).outcome is Outcome.HOLD
