import math

import numpy as np
import pytest
from scipy import stats

from evergreen.gate.statistics import (
    chance_below,
    clusters_to_settle,
    feature_aucs,
    feature_r2,
    holm,
    interval_of,
    paired_interval,
    share_lower_bound,
    upper_bound,
)


def test_the_interval_is_what_a_hand_computes():
    # clusters a: 1, 3; b: 5; mean 3; residual sums -2, 2 -> SE^2 = 2/1 * (4 + 4) / 9
    interval = paired_interval(np.array([1.0, 3.0, 5.0]), np.array(["a", "a", "b"]), alpha=0.05)
    assert interval.estimate == 3.0
    assert interval.se == pytest.approx(4 / 3)
    assert interval.high - 3 == pytest.approx(6.313752 * 4 / 3, rel=1e-6)  # t with one degree of freedom at 0.95, from a table
    assert (interval.clusters, interval.n, interval.level) == (2, 3, 0.9)


def test_the_standard_error_is_the_sandwich_of_a_regression_on_a_constant():
    rng = np.random.default_rng(3)
    cluster = rng.integers(0, 25, 400)
    d = rng.normal(size=400) + rng.normal(size=25)[cluster]
    X = np.ones((400, 1))
    bread = np.linalg.inv(X.T @ X)
    residual = d - d.mean()
    meat = sum(X[cluster == g].T @ np.outer(residual[cluster == g], residual[cluster == g]) @ X[cluster == g] for g in range(25))
    sandwich = 25 / 24 * bread @ meat @ bread
    assert paired_interval(d, cluster, alpha=0.01).se == pytest.approx(math.sqrt(sandwich[0, 0]), rel=1e-12)


def test_with_one_row_a_cluster_it_is_the_ordinary_t_interval():
    d = np.random.default_rng(4).normal(size=60)
    interval = paired_interval(d, np.arange(60), alpha=0.025)
    ordinary = stats.ttest_1samp(d, 0).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((ordinary.low, ordinary.high), rel=1e-12)


def test_rows_that_repeat_within_clusters_add_no_certainty():
    d = np.random.default_rng(5).normal(size=30)
    once = paired_interval(d, np.arange(30), alpha=0.05)
    tenfold = paired_interval(np.repeat(d, 10), np.repeat(np.arange(30), 10), alpha=0.05)
    assert (tenfold.low, tenfold.high) == pytest.approx((once.low, once.high), rel=1e-12)


def test_the_bounds_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(6)
    cluster = np.repeat(np.arange(30), 5)
    above = [paired_interval(rng.normal(size=150) + rng.normal(size=30)[cluster], cluster, alpha=0.05).low > 0 for _ in range(2000)]
    assert 0.035 < np.mean(above) < 0.065


def test_one_cluster_bounds_nothing():
    interval = paired_interval(np.array([1.0, 2.0]), np.array(["a", "a"]), alpha=0.05)
    assert (interval.low, interval.high) == (-math.inf, math.inf)


@pytest.mark.parametrize(
    ("difference", "cluster", "alpha"),
    [
        ([], [], 0.05),
        ([1.0, math.nan], [0, 1], 0.05),
        ([1.0, math.inf], [0, 1], 0.05),
        ([1.0, 2.0], [0], 0.05),
        ([1.0, 2.0], ["a", None], 0.05),
        ([1.0, 2.0], [0, 1], 0.0),
        ([1.0, 2.0], [0, 1], 0.6),
        ([1.0, 2.0], [0, 1], math.nan),
    ],
)
def test_what_is_no_number_gives_no_interval(difference, cluster, alpha):
    with pytest.raises(ValueError, match="got"):
        paired_interval(np.array(difference, dtype=float), np.array(cluster, dtype=object), alpha=alpha)


def test_another_chance_of_error_moves_the_upper_bound():
    d = np.random.default_rng(7).normal(size=50)
    wide, narrow = (paired_interval(d, np.arange(50), alpha=alpha) for alpha in (0.01, 0.05))
    assert upper_bound(wide, 0.05) == pytest.approx(narrow.high)


def test_the_clusters_it_asks_for_are_enough_and_one_less_is_not():
    d = np.random.default_rng(8).normal(loc=0.1, scale=0.5, size=40)
    interval = paired_interval(d, np.arange(40), alpha=0.01)
    gap = interval.estimate + 0.05
    more = clusters_to_settle(interval, gap, alpha=0.01)
    assert more is not None

    def reach(total):
        return stats.t.ppf(0.99, total - 1) * interval.se * math.sqrt(40 / total)

    assert reach(40 + more) < gap <= reach(40 + more - 1)


def test_evidence_that_points_the_wrong_way_is_not_settled_by_more_of_it():
    interval = paired_interval(np.random.default_rng(9).normal(size=40), np.arange(40), alpha=0.01)
    assert clusters_to_settle(interval, 0.0, alpha=0.01) is None
    assert clusters_to_settle(interval, -1.0, alpha=0.01) is None
    assert clusters_to_settle(interval, 1e-9, alpha=0.01) is None


def test_the_bound_of_a_share_is_the_exact_one():
    assert share_lower_bound(200, 200) == pytest.approx(0.05 ** (1 / 200))
    assert stats.binom.sf(194, 200, share_lower_bound(195, 200)) == pytest.approx(0.05)


def test_the_auc_counts_pairs_with_ties_as_halves():
    values, classes = np.array([1.0, 2.0, 2.0, 3.0, 5.0]), np.array([0, 0, 1, 1, 1])
    pairs = [(values[i] > values[j]) + 0.5 * (values[i] == values[j]) for i in (2, 3, 4) for j in (0, 1)]
    assert feature_aucs(values, classes)[1] == pytest.approx(np.mean(pairs))
    assert feature_aucs(values, classes).sum() == pytest.approx(1)


def test_r2_sees_straight_lines_and_any_other_order():
    x = np.linspace(0.1, 5, 100)
    assert feature_r2(x, 3 - 2 * x) == pytest.approx(1)
    assert feature_r2(x, np.exp(3 * x)) == pytest.approx(1)
    assert feature_r2(np.ones(100), x) == 0.0


def test_the_chance_of_an_estimate_so_low_is_that_of_a_t_test():
    d = np.random.default_rng(8).normal(size=40)
    interval = paired_interval(d, np.arange(40), alpha=0.05)
    assert chance_below(interval, 0.2) == pytest.approx(stats.ttest_1samp(d, 0.2, alternative="less").pvalue, rel=1e-9)
    # below the limit at a chance of error exactly when the upper bound at that error is
    limit = interval.high
    assert chance_below(interval, limit) == pytest.approx(0.05, rel=1e-9)


def test_one_cluster_shows_nothing_and_certainty_everything():
    assert chance_below(interval_of(-5.0, math.inf, clusters=1, n=9, alpha=0.05), 0.0) == 1.0
    sure = interval_of(-5.0, 0.0, clusters=9, n=9, alpha=0.05)
    assert [chance_below(sure, limit) for limit in (-6.0, -5.0, -4.0)] == [1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("chances", "rejected"),
    [
        ([0.01], [True]),
        ([np.nextafter(0.01, 1)], [False]),
        ([0.005, 0.01], [True, True]),
        ([0.01, 0.005], [True, True]),
        ([0.006, 0.006], [False, False]),
        ([0.5, 0.003, 0.006], [False, True, False]),  # 0.006 is above 0.01 / 2
        ([0.004, 0.004, 0.001], [True, True, True]),
        ([0.004, 0.004, 0.004], [False, False, False]),  # the first decides for all
        ([np.nan, 0.001], [False, True]),
        ([], []),
    ],
)
def test_of_several_harms_each_must_be_the_surer_the_more_are_left(chances, rejected):
    assert list(holm(np.array(chances), 0.01)) == rejected
