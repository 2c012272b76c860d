import dataclasses
import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import assume, settings
from hypothesis import given as tried_with
from hypothesis import strategies as st
from scipy import stats
from statsmodels.regression.linear_model import OLS

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


@pytest.mark.parametrize("clusters", [5, 40])
def test_the_standard_error_is_that_of_statsmodels(clusters):
    # its small-sample factor is G/(G-1) (n-1)/(n-k); with nothing but a constant k is 1, so the second part is 1
    rng = np.random.default_rng(clusters)
    cluster = rng.choice(clusters, 300, p=rng.dirichlet(np.ones(clusters)))
    d = rng.exponential(size=300) + rng.normal(size=clusters)[cluster]
    fit = OLS(d, np.ones(300)).fit(cov_type="cluster", cov_kwds={"groups": cluster}, use_t=True)
    interval = paired_interval(d, cluster, alpha=0.01)
    assert (interval.estimate, interval.se) == pytest.approx((fit.params[0], fit.bse[0]), rel=1e-12)


def test_with_equal_clusters_without_a_longer_tail_the_interval_is_that_of_statsmodels():
    rng = np.random.default_rng(12)
    half = rng.normal(size=(15, 8)) + rng.normal(size=(15, 1))
    d, cluster = np.concatenate([half, -half]).ravel() + 0.3, np.repeat(np.arange(30), 8)
    fit = OLS(d, np.ones(240)).fit(cov_type="cluster", cov_kwds={"groups": cluster}, use_t=True)
    interval = paired_interval(d, cluster, alpha=0.01)
    assert (interval.low, interval.high) == pytest.approx(tuple(fit.conf_int(0.02)[0]), rel=1e-12)


def test_with_one_row_a_cluster_and_no_longer_tail_it_is_the_ordinary_t_interval():
    half = np.random.default_rng(4).normal(size=30)
    d = np.concatenate([half, -half]) + 0.2
    interval = paired_interval(d, np.arange(60), alpha=0.025)
    ordinary = stats.ttest_1samp(d, 0).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((ordinary.low, ordinary.high), rel=1e-12)


def test_the_bound_on_the_side_of_the_longer_tail_is_moved_outwards_as_johnson_says():
    d = np.random.default_rng(13).exponential(size=40)
    mean, se, t = d.mean(), d.std(ddof=1) / math.sqrt(40), stats.t.ppf(0.99, 39)
    shift = stats.skew(d, bias=False) * (1 + 2 * t**2) / (6 * math.sqrt(40)) * se
    right, left = paired_interval(d, np.arange(40), alpha=0.01), paired_interval(-d, np.arange(40), alpha=0.01)
    assert (right.low, right.high) == pytest.approx((mean - t * se, mean + t * se + shift), rel=1e-12)
    assert (left.low, left.high) == pytest.approx((-right.high, -right.low), rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_the_degrees_of_freedom_are_those_of_the_written_out_matrices(seed):
    rng = np.random.default_rng(seed)
    cluster = rng.choice(12, 200, p=rng.dirichlet(np.ones(12)))
    cluster = np.unique(cluster, return_inverse=True)[1]
    d = rng.normal(size=200) + (seed / 2) * rng.normal(size=12)[cluster]
    rest, sizes, G = d - d.mean(), np.bincount(cluster), cluster.max() + 1
    same = (cluster[:, None] == cluster) & ~np.eye(200, dtype=bool)
    shared = max(0.0, np.outer(rest, rest)[same].mean())
    own = max(0.0, (rest**2).mean() - shared)
    V = np.diag(own * sizes + shared * sizes**2)
    M = np.eye(G) - np.outer(sizes / 200, np.ones(G))
    A = M.T @ M @ V
    assert paired_interval(d, cluster, alpha=0.01).dof == pytest.approx(np.trace(A) ** 2 / np.trace(A @ A), rel=1e-9)


def test_unequal_clusters_count_for_less_than_as_many_equal_ones():
    d = np.random.default_rng(14).normal(size=100) + np.repeat([1.0, -1.0, 0.5, -0.5], 25)
    equal = paired_interval(d, np.repeat(np.arange(20), 5), alpha=0.01)
    unequal = paired_interval(d, np.concatenate([np.repeat(0, 81), np.arange(1, 20)]), alpha=0.01)
    assert equal.dof == pytest.approx(19)
    assert unequal.dof < 19
    assert paired_interval(np.zeros(100), np.repeat(np.arange(20), 5), alpha=0.01).dof == pytest.approx(19)


def days(count, rows=1):
    return np.repeat((np.datetime64("2013-05-01") + np.arange(count)).astype(str).astype(object), rows)


def test_the_serial_standard_error_is_that_of_the_written_out_cosines():
    d = np.random.default_rng(15).normal(size=30).cumsum()
    waves = [math.sqrt(2) * sum(d[i] * math.cos(math.pi * k * (i + 0.5) / 30) for i in range(30)) for k in range(1, 11)]
    interval = paired_interval(np.repeat(d, 4), days(30, 4), alpha=0.01)
    assert interval.serial_se == pytest.approx(math.sqrt(np.mean(np.square(waves))) / 30, rel=1e-9)
    reach = stats.t.ppf(0.99, 10) * interval.serial_se  # 30 days leave 30^(2/3) = 9.7 degrees of freedom
    lean = abs(interval.skewness) * (1 + 2 * stats.t.ppf(0.99, 29) ** 2) / (6 * math.sqrt(30)) * interval.se
    assert interval.high - interval.low == pytest.approx(2 * reach + lean, rel=1e-9)


@pytest.mark.parametrize("name", [str, np.datetime64, lambda day: f"{day}T06:00", lambda day: day[:7] + "-" + day[8:]])
def test_days_that_are_like_their_neighbours_widen_the_interval_and_customers_do_not(name):
    d = np.sin(np.arange(28) / 4)
    dated = paired_interval(d, np.array([name(day) for day in days(28)]), alpha=0.01)
    shuffled = paired_interval(d, np.random.default_rng(1).permutation(days(28)), alpha=0.01)
    nameless = paired_interval(d, np.array([f"customer {i:02d}" for i in range(28)], dtype=object), alpha=0.01)
    assert nameless.serial_se == 0
    assert dated.high > 1.3 * nameless.high > 0
    assert nameless.high <= shuffled.high < dated.high


def test_neighbours_that_even_each_other_out_do_not_narrow_it():
    d = np.tile([1.0, -1.0], 15)
    dated, nameless = paired_interval(d, days(30), alpha=0.01), paired_interval(d, np.arange(30), alpha=0.01)
    assert dated.serial_se < dated.se
    assert (dated.low, dated.high) == (nameless.low, nameless.high)


@pytest.mark.parametrize(
    "cluster", [days(31), np.arange(31), np.array([f"c{i}" for i in range(31)], dtype=object)], ids=["days", "ids", "texts"]
)
def test_the_order_of_rows_changes_not_a_single_bit(cluster):
    rng = np.random.default_rng(16)
    d, of = rng.exponential(size=3000), rng.integers(0, 31, 3000)
    order = rng.permutation(3000)
    assert paired_interval(d, cluster[of], alpha=0.01) == paired_interval(d[order], cluster[of][order], alpha=0.01)


@pytest.mark.parametrize("seed", range(2))
def test_over_all_signs_of_the_clusters_a_bound_errs_about_as_often_as_it_says(seed):
    # whatever the sizes of symmetric errors are, each pattern of signs is as likely as any other: all 1,024 of them, not a sample
    size = np.abs(np.random.default_rng(seed).normal(size=10)) + 0.2
    patterns = size * np.array(list(itertools.product([-1.0, 1.0], repeat=10)))
    intervals = [paired_interval(d, np.arange(10), alpha=0.05) for d in patterns]
    passed = np.array([one.low > 0 for one in intervals])
    refused = np.array([one.high < 0 for one in intervals])
    assert passed.sum() == refused.sum()
    assert 0.02 < passed.mean() < 0.055
    largest = np.sort(patterns.sum(axis=1))[-passed.sum() :]  # the test that is exact: the patterns with the largest sums
    assert np.mean(patterns.sum(axis=1)[passed] >= largest[0]) > 0.9


@tried_with(st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(0, 5)), min_size=1, max_size=40), st.floats(1e-6, 0.5), st.booleans())
@settings(deadline=None)
def test_whatever_the_rows_are_the_bounds_are_numbers_on_their_sides_and_wider_for_less_error(rows, alpha, dated):
    d, cluster = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    names = days(6)[cluster] if dated else cluster
    interval, wider = paired_interval(d, names, alpha=alpha), paired_interval(d, names, alpha=alpha / 2)
    assert interval.low <= interval.estimate <= interval.high
    assert wider.low <= interval.low
    assert wider.high >= interval.high
    mirrored = paired_interval(-d, names, alpha=alpha)
    assert (-mirrored.high, -mirrored.low) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-3)


@pytest.mark.parametrize("scale", [1e-150, 1e-110, 1e-3, 1e80])
def test_however_small_or_large_the_amounts_are_the_interval_only_changes_its_scale(scale):
    d = np.array([0.0, 1.0, 0.0, 3.0, 0.5])
    one, other = (paired_interval(factor * d, np.arange(5), alpha=0.05) for factor in (1.0, scale))
    assert other.skewness == pytest.approx(one.skewness)
    assert (other.low / scale, other.high / scale) == pytest.approx((one.low, one.high))


@pytest.mark.parametrize("clusters", [31, 3000, 30_000])
def test_thirty_thousand_rows_take_a_moment(clusters):
    rng = np.random.default_rng(17)
    d, of = rng.normal(size=30_000), np.arange(30_000) % clusters
    names = days(31)[of] if clusters == 31 else of
    begun = time.process_time()
    interval = paired_interval(d, names, alpha=0.01)
    clusters_to_settle(interval, 1e-9, alpha=0.01)
    assert time.process_time() - begun < 2


def test_rows_that_repeat_within_clusters_add_no_certainty():
    d = np.random.default_rng(5).normal(size=30)
    once = paired_interval(d, np.arange(30), alpha=0.05)
    tenfold = paired_interval(np.repeat(d, 10), np.repeat(np.arange(30), 10), alpha=0.05)
    assert (tenfold.low, tenfold.high) == pytest.approx((once.low, once.high), rel=1e-12)


def test_the_bounds_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(6)
    cluster = np.repeat(np.arange(30), 5)
    above = [paired_interval(rng.normal(size=150) + rng.normal(size=30)[cluster], cluster, alpha=0.05).low > 0 for _ in range(1000)]
    assert 0.03 < np.mean(above) < 0.07


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


@pytest.mark.parametrize("side", ["low", "high"])
@pytest.mark.parametrize("cluster", [np.arange(40), days(40)], ids=["ids", "days"])
def test_the_clusters_it_asks_for_are_the_fewest_that_are_enough(side, cluster):
    d = np.random.default_rng(8).exponential(size=40) ** 2
    interval = paired_interval(d, cluster, alpha=0.01)
    gap = (interval.estimate - interval.low if side == "low" else interval.high - interval.estimate) / 1.7

    def reach(total):  # of the interval as it were with so many clusters
        more = dataclasses.replace(
            interval,
            clusters=total,
            se=interval.se * math.sqrt(40 / total),
            serial_se=interval.serial_se * math.sqrt(40 / total),
            dof=total - 1,
            skewness=interval.skewness if side == "high" else -interval.skewness,
        )
        return upper_bound(more, 0.01) - interval.estimate

    fewest = next(total for total in range(40, 800) if reach(total) < gap)
    assert fewest > 60
    assert clusters_to_settle(interval, gap, alpha=0.01, side=side) == fewest - 40


def test_what_is_settled_needs_no_more_clusters():
    interval = paired_interval(np.random.default_rng(9).normal(size=40), np.arange(40), alpha=0.01)
    gap = interval.estimate - interval.low
    assert clusters_to_settle(interval, gap * 1.001, alpha=0.01) == 0
    assert clusters_to_settle(interval, gap, alpha=0.01) == 1


def test_evidence_that_points_the_wrong_way_is_not_settled_by_more_of_it():
    interval = paired_interval(np.random.default_rng(9).normal(size=40), np.arange(40), alpha=0.01)
    assert clusters_to_settle(interval, 0.0, alpha=0.01) is None
    assert clusters_to_settle(interval, -1.0, alpha=0.01) is None
    assert clusters_to_settle(interval, 1e-9, alpha=0.01) is None


@pytest.mark.parametrize(("successes", "n"), [(195, 200), (49, 50), (1, 60), (30, 60)])
def test_the_bound_of_a_share_is_where_the_binomial_adds_up_to_its_error(successes, n):
    share = share_lower_bound(successes, n)
    assert sum(math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(successes, n + 1)) == pytest.approx(0.05, rel=1e-9)


def test_the_bound_of_all_or_none_is_known_by_hand():
    assert share_lower_bound(200, 200) == pytest.approx(0.05 ** (1 / 200))
    assert share_lower_bound(0, 200) == 0


@tried_with(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 2)), min_size=3, max_size=30))
@settings(deadline=None)
def test_the_auc_counts_pairs_with_ties_as_halves(rows):
    values = np.array([row[0] for row in rows], dtype=float)
    classes = np.unique([row[1] for row in rows], return_inverse=True)[1]
    assume(classes.max() > 0)
    for one, auc in enumerate(feature_aucs(values, classes)):
        pairs = [(a > b) + 0.5 * (a == b) for a in values[classes == one] for b in values[classes != one]]
        assert auc == pytest.approx(np.mean(pairs))


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


def test_a_long_tail_moves_the_middle_too_and_the_chance_stays_at_most_a_half():
    d = np.r_[np.full(19, -1.0), 18.9]
    interval = paired_interval(d, np.arange(20), alpha=0.05)
    assert interval.estimate < 0 < upper_bound(interval, 0.5)
    assert chance_below(interval, 0.0) == 0.5


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
