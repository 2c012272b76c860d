import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from evergreen.monitoring.ranking import auc_interval, auc_slope, expected_auc


def world(*, seed: int, rows: int = 2_000, days: int = 40, moved: float = 0.8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes, scores and days of rows; days differ in how well their rows are ordered."""
    rng = np.random.default_rng(seed)
    day = rng.integers(0, days, rows)
    chance = 1 / (1 + np.exp(-rng.normal(-1, 1, rows)))
    happened = (rng.random(rows) < chance).astype(int)
    return happened, chance + 0.1 * moved * rng.normal(size=days)[day], day


def test_of_known_outcomes_the_auc_is_that_of_scikit_learn_ties_included():
    happened, score, day = world(seed=1)
    for told in (score, score.round(1), -score):
        found = auc_interval(happened, told, day, alpha=0.05)
        assert found is not None
        assert found.estimate == pytest.approx(roc_auc_score(happened, told), abs=1e-12)
        assert 0 <= found.low < found.estimate < found.high <= 1


def test_of_independent_rows_the_standard_error_is_delongs():
    happened, score, _ = world(seed=2, rows=300)
    positive, negative = score[happened == 1], score[happened == 0]
    wins = (positive[:, None] > negative).astype(float)
    delong = wins.mean(axis=1).var(ddof=1) / len(positive) + wins.mean(axis=0).var(ddof=1) / len(negative)
    found = auc_interval(happened, score, np.arange(300), alpha=0.05)
    assert found is not None
    assert found.se == pytest.approx(np.sqrt(delong), rel=0.01)


def test_rows_of_a_day_that_share_their_luck_make_the_interval_as_wide_as_a_bootstrap_of_days():
    happened, score, day = world(seed=3, moved=6)
    found = auc_interval(happened, score, day, alpha=0.05)
    rng, rows = np.random.default_rng(4), [np.flatnonzero(day == one) for one in range(40)]
    drawn = [np.concatenate([rows[one] for one in rng.integers(0, 40, 40)]) for _ in range(400)]
    spread = np.std([roc_auc_score(happened[part], score[part]) for part in drawn])
    assert found is not None
    assert found.se == pytest.approx(spread, rel=0.15)
    apart = auc_interval(happened, score, np.arange(len(day)), alpha=0.05)
    assert apart is not None
    assert found.se > 1.3 * apart.se


@pytest.mark.parametrize("only", [0, 1])
def test_of_one_outcome_alone_there_is_no_auc(only: int):
    assert auc_interval(np.full(5, only), np.arange(5.0), np.arange(5), alpha=0.05) is None
    assert expected_auc(np.arange(5.0), np.full(5, only)) is None


def test_the_expected_auc_is_what_outcomes_drawn_by_their_chances_come_to():
    rng = np.random.default_rng(5)
    chance = 1 / (1 + np.exp(-rng.normal(-1, 1, 3_000)))
    score = chance.round(2)
    drawn = [roc_auc_score(rng.random(3_000) < chance, score) for _ in range(200)]
    assert expected_auc(score, chance) == pytest.approx(np.mean(drawn), abs=0.002)


def test_the_slope_is_how_much_the_expected_auc_grows_with_each_chance():
    _, score, _ = world(seed=6, rows=50)
    chance = np.random.default_rng(7).uniform(0.1, 0.9, 50)
    step, grown = 1e-6, []
    for row in range(50):
        more = chance.copy()
        more[row] += step
        grown.append((expected_auc(score, more) - expected_auc(score, chance)) / step)
    assert auc_slope(score, chance) == pytest.approx(grown, abs=1e-5)
