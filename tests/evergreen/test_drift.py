"""Drift between windows of made-up rows."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evergreen.errors import ContractError
from evergreen.monitoring.distances import figures_of_categories, figures_of_numbers, psi
from evergreen.monitoring.drift import Drift, Moved, Said, compare
from evergreen.watches import DriftPolicy

POLICY = DriftPolicy(min_rows=100)
NO_FLOORS = DriftPolicy(min_rows=100, min_psi=0.0, min_distance=0.0, times_usual=0.0)


def normal(seed: int, *, rows: int = 1_000, shift: float = 0.0) -> pd.DataFrame:
    return pd.DataFrame({"x": np.random.default_rng(seed).normal(shift, 1, rows)})


def letters(**counts: int) -> pd.DataFrame:
    return pd.DataFrame({"letter": [name for name, count in counts.items() for _ in range(count)]})


def only(drift: Drift, *, kind: str | None = None) -> Moved:
    (moved,) = [one for one in drift.features if kind in {None, one.kind}]
    return moved


# --- what drifts and what does not


def test_rows_of_the_same_kind_have_not_drifted():
    drift = compare([normal(0), normal(1)], normal(2), POLICY)
    assert (drift.found, drift.is_judged) == (False, True)
    assert drift.sentence == "No drift: none of 1 column has moved."


def test_the_verdict_counts_the_columns_that_have_moved_and_says_when_they_are_too_few():
    before, after = (
        normal(0).assign(y=normal(1)["x"], z=normal(2)["x"]),
        normal(3, shift=1.0).assign(y=normal(4, shift=1.0)["x"], z=normal(5)["x"]),
    )
    assert compare([before], after, POLICY).sentence == "Drift: 2 of 3 columns have moved: x, y."
    strict = POLICY.model_copy(update={"min_features": 3})
    assert compare([before], after, strict).sentence == "No drift: 2 of 3 columns have moved, too few to call it drift: x, y."
    gone = after.assign(x=after["x"].where(after.index % 2 == 0))
    assert compare([before], gone, POLICY).sentence == "Drift: 2 of 3 columns have moved: x, x (missing values), y."


def test_a_number_that_has_moved_has_drifted_and_is_told_with_its_figures():
    drift = compare([normal(0)], normal(2, shift=1.0), POLICY, window_end="2026-03-01T00:00:00+00:00")
    moved = only(drift)
    assert (drift.found, drift.window_end, moved.kind) == (True, "2026-03-01T00:00:00+00:00", "numbers")
    assert drift.sentence == "Drift: 1 of 1 column has moved: x."
    told = f"differ by {moved.distance:.2f} (PSI {moved.psi:.2f}) from the training window most like them"
    assert moved.sentence == f"x has drifted: the newest rows {told}."
    test = stats.ks_2samp(normal(0)["x"], normal(2, shift=1.0)["x"], method="asymp")
    assert (moved.statistic, moved.distance, moved.p) == (test.statistic, test.statistic, test.pvalue)


def test_a_category_that_is_called_otherwise_has_drifted():
    drift = compare([letters(a=300, b=200)], letters(a=300, bee=200), POLICY)
    assert only(drift).is_drifted
    assert only(drift).kind == "categories"
    assert only(drift).distance == pytest.approx(0.4)


def test_a_number_in_another_unit_has_drifted():
    assert compare([normal(0, shift=1_010.0)], normal(1, shift=1_010.0) / 33.86, POLICY).found


def test_values_that_are_missing_more_often_have_drifted_though_the_others_have_not():
    recent = normal(1)
    recent.iloc[:300] = np.nan
    moved = {one.kind: one for one in compare([normal(0)], recent, POLICY).features}
    assert (moved["missing"].is_drifted, moved["numbers"].is_drifted) == (True, False)
    assert moved["missing"].distance == pytest.approx(0.3)
    assert moved["missing"].sentence.startswith("whether x is missing has drifted")


def test_missing_values_are_a_category_among_categories():
    recent = letters(a=300, b=200)
    recent.iloc[:150] = None
    assert only(compare([letters(a=300, b=200)], recent, POLICY)).distance == pytest.approx(0.3)


def test_a_trifle_is_no_drift_however_many_rows_show_it():
    drift = compare([normal(0, rows=20_000)], normal(1, rows=20_000, shift=0.1), POLICY)
    assert only(drift).q < 1e-6
    assert not drift.found


def test_a_few_rows_by_chance_are_no_drift_however_far_they_are_apart():
    loose = DriftPolicy(min_rows=5)
    drift = compare([normal(0, rows=8)], normal(3, rows=8, shift=0.4), loose)
    moved = only(drift)
    assert moved.psi > loose.min_psi
    assert moved.distance > loose.min_distance
    assert moved.q > loose.false_discoveries
    assert not drift.found


def test_numbers_that_become_text_have_drifted():
    assert only(compare([normal(0)], normal(0).astype(str), POLICY)).is_drifted


def test_times_are_compared_as_numbers():
    def times(first: str) -> pd.DataFrame:
        return pd.DataFrame({"built": pd.date_range(first, periods=500, freq="h", tz="UTC")})

    assert not compare([times("2026-01-01")], times("2026-01-01"), POLICY).found
    assert compare([times("2026-01-01")], times("2026-02-01"), POLICY).found


# --- exactly at each floor


def at_floor(**policy: Any) -> bool:
    """Whether these rows have drifted under floors that are named by what they come to."""
    return only(compare([letters(a=500, b=500)], letters(a=200, b=800), DriftPolicy(min_rows=100, **policy))).is_drifted


@pytest.mark.parametrize("name", ["psi", "distance"])
def test_a_feature_drifts_exactly_at_a_floor_and_not_below_it(name: str):
    reached = getattr(only(compare([letters(a=500, b=500)], letters(a=200, b=800), POLICY)), name)
    assert at_floor(**{f"min_{name}": reached})
    assert not at_floor(**{f"min_{name}": float(np.nextafter(reached, 1))})


def test_it_drifts_exactly_at_the_share_of_false_discoveries_and_not_above_it():
    few = [letters(a=12, b=12)], letters(a=5, b=19)
    q = only(compare(*few, DriftPolicy(min_rows=5))).q
    assert 0.01 < q < 0.5
    assert only(compare(*few, DriftPolicy(min_rows=5, false_discoveries=q))).is_drifted
    assert not only(compare(*few, DriftPolicy(min_rows=5, false_discoveries=float(np.nextafter(q, 0))))).is_drifted


def test_it_drifts_only_beyond_what_neighbours_in_training_are_apart():
    windows = [letters(a=500, b=500), letters(a=700, b=300)]
    apart = [letters(a=200, b=800), letters(a=300, b=700), letters(a=299, b=701)]
    moved = [only(compare(windows, recent, POLICY)) for recent in apart]
    assert [one.usual for one in moved] == pytest.approx([0.2, 0.2, 0.2])
    assert [one.distance for one in moved] == pytest.approx([0.3, 0.2, 0.201])
    exactly = DriftPolicy(min_psi=0.1, times_usual=moved[1].distance / moved[1].usual)
    assert not only(compare(windows, apart[1], exactly)).is_drifted
    assert [only(compare(windows, recent, exactly)).is_drifted for recent in (apart[0], apart[2])] == [True, True]


def test_twice_the_usual_asks_for_twice_as_much_and_none_for_the_floors_alone():
    windows, recent = [letters(a=500, b=500), letters(a=700, b=300)], letters(a=200, b=800)
    assert [only(compare(windows, recent, DriftPolicy(times_usual=times))).is_drifted for times in (0.0, 1.4, 1.6)] == [True, True, False]


@pytest.mark.parametrize(("rows", "judged"), [(99, False), (100, True)])
@pytest.mark.parametrize("side", ["training", "newest"])
def test_fewer_rows_than_asked_for_are_not_judged(side: str, rows: int, judged: bool):
    few, many = normal(0, rows=rows), normal(1, shift=3.0)
    drift = compare([few], many, POLICY) if side == "training" else compare([many], few, POLICY)
    assert (drift.is_judged, drift.found) == (judged, judged)
    if not judged:
        assert "x was not judged: fewer than 100 rows have a value in training, or among the newest rows." in only(drift).sentence
        assert drift.sentence.startswith("Drift was not judged")


@pytest.mark.parametrize(("least", "found"), [(1, True), (2, True), (3, False)])
def test_as_many_features_must_have_drifted_as_the_policy_says(least: int, found: bool):
    rows = [normal(seed).assign(y=normal(seed + 10)["x"], z=normal(seed + 20)["x"]) for seed in (0, 1)]
    rows[1] = rows[1].assign(x=rows[1]["x"] + 2, y=rows[1]["y"] + 2)
    drift = compare(rows[:1], rows[1], DriftPolicy(min_features=least))
    assert [one.feature for one in drift.features if one.is_drifted] == ["x", "y"]
    assert drift.found is found


# --- the window that is most alike


def test_rows_like_any_window_of_the_training_have_not_drifted():
    summer, winter = normal(0, shift=3.0), normal(1, shift=-3.0)
    assert not compare([winter, summer], normal(2, shift=-3.0), DriftPolicy(times_usual=0.0)).found
    assert not compare([winter, summer], normal(2, shift=3.0), DriftPolicy(times_usual=0.0)).found
    assert compare([winter, summer], normal(2), DriftPolicy(times_usual=0.0)).found


def test_a_window_with_too_few_values_is_passed_over():
    assert not compare([normal(0), normal(1, rows=10, shift=5.0)], normal(2), POLICY).found
    assert compare([normal(0), normal(1, rows=10, shift=5.0)], normal(2, shift=5.0), POLICY).found


def test_more_rows_than_are_looked_at_are_taken_evenly():
    ordered = pd.DataFrame({"x": np.arange(50_000.0)})
    assert only(compare([ordered], ordered.iloc[::2], POLICY)).distance < 0.001


# --- what cannot be compared is said


def test_without_training_rows_nothing_is_judged():
    drift = compare([], normal(0), POLICY)
    assert (drift.is_judged, drift.found) == (False, False)


@pytest.mark.parametrize("value", [np.nan, np.inf, None])
def test_a_feature_without_any_value_is_not_judged(value: Any):
    drift = compare([normal(0).assign(x=value)], normal(1).assign(x=value), POLICY)
    assert [one.is_judged for one in drift.features if one.kind != "missing"] == [False]
    assert not drift.found
    assert "x was not judged" in drift.features[0].sentence


def test_a_feature_that_has_lost_all_its_values_has_drifted():
    drift = compare([normal(0)], normal(1).assign(x=np.nan), POLICY)
    assert only(drift, kind="missing").is_drifted
    assert not only(drift, kind="numbers").is_judged
    assert drift.sentence == "Drift: 1 of 1 column has moved: x (missing values). Not judged: x."


def test_a_feature_that_had_no_value_in_training_and_has_some_now_has_drifted():
    assert only(compare([normal(0).assign(x=None)], normal(1), POLICY), kind="missing").is_drifted


def test_infinite_numbers_count_as_missing_ones():
    assert only(compare([normal(0)], normal(1).assign(x=np.inf), POLICY), kind="missing").is_drifted


def test_a_constant_is_like_itself_and_unlike_another():
    one, two = normal(0).assign(x=1.0), normal(0).assign(x=2.0)
    same = only(compare([one], one, POLICY))
    assert (same.is_judged, same.is_drifted, same.psi, same.distance) == (True, False, 0.0, 0.0)
    for before, now in ((one, two), (two, one)):
        assert only(compare([before], now, POLICY)).is_drifted


def test_a_single_category_is_like_itself_and_unlike_another():
    same = only(compare([letters(a=200)], letters(a=300), POLICY))
    assert (same.is_judged, same.is_drifted, same.p) == (True, False, 1.0)
    assert only(compare([letters(a=200)], letters(b=300), POLICY)).is_drifted


@pytest.mark.parametrize("side", ["training", "newest"])
def test_a_feature_that_one_side_lacks_is_not_judged_and_named(side: str):
    both, alone = normal(0).assign(y=1.0), normal(1)
    drift = compare([both], alone, POLICY) if side == "newest" else compare([alone], both, POLICY)
    assert drift.sentence == "No drift: none of 1 column has moved. Not judged: y."


def test_nobody_changes_the_frames():
    windows, recent = [normal(0), normal(1)], normal(2)
    before = [frame.copy(deep=True) for frame in (*windows, recent)]
    compare(windows, recent, POLICY, said=Said(windows[0], recent))
    for frame, was in zip((*windows, recent), before, strict=True):
        pd.testing.assert_frame_equal(frame, was)


# --- what a model says


def test_predictions_that_have_moved_are_drift_too():
    said = Said(pd.DataFrame({"probability": np.linspace(0, 0.5, 500)}), pd.DataFrame({"probability": np.linspace(0.4, 0.9, 500)}))
    drift = compare([normal(0)], normal(1), POLICY, said=said)
    assert [(one.feature, one.is_drifted) for one in drift.features] == [("x", False), ("predicted probability", True)]
    assert drift.found


def test_predictions_of_too_few_rows_are_not_judged():
    said = Said(pd.DataFrame({"decision": [0, 1] * 250}), pd.DataFrame({"decision": np.empty(0, dtype=int)}))
    drift = compare([normal(0)], normal(1), POLICY, said=said)
    assert drift.sentence == "No drift: none of 1 column has moved. Not judged: predicted decision."


# --- how often it is wrong


def test_false_findings_among_what_differs_by_chance_are_as_rare_as_promised():
    rng = np.random.default_rng(0)

    def frame() -> pd.DataFrame:
        numbers = {f"n{i}": rng.normal(size=300) for i in range(8)}
        return pd.DataFrame(numbers | {f"c{i}": rng.choice(list("abcd"), 300) for i in range(4)})

    wrong = [compare([frame()], frame(), NO_FLOORS).found for _ in range(200)]
    # chance 5% of any finding where nothing has moved: 200 tries give at most 18 with a chance of more than 99%
    assert 1 <= sum(wrong) <= 18


def test_the_share_of_false_ones_among_findings_is_controlled_where_some_are_true():
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(60):
        one, other = (pd.DataFrame(rng.normal(size=(300, 20))).add_prefix("x") for _ in range(2))
        moved = [f"x{i}" for i in range(5)]
        found = [m.feature for m in compare([one], other.assign(**{c: other[c] + 1 for c in moved}), NO_FLOORS).features if m.is_drifted]
        assert set(moved) <= set(found)
        shares.append(len(set(found) - set(moved)) / len(found))
    assert 0 < np.mean(shares) < 0.06


def test_the_chances_are_corrected_as_scipy_does():
    rng = np.random.default_rng(2)
    one, other = (pd.DataFrame(rng.normal(size=(300, 6))).add_prefix("x") for _ in range(2))
    features = compare([one], other, NO_FLOORS).features
    assert [one.q for one in features] == list(stats.false_discovery_control([one.p for one in features]))


# --- the figures


def test_the_psi_is_that_of_the_textbook():
    one, other = np.array([100, 200, 700]), np.array([200, 300, 500])
    p, q = (one + 0.5) / 1001.5, (other + 0.5) / 1001.5
    assert psi(one, other) == pytest.approx(float(np.sum((q - p) * np.log(q / p))))
    assert psi(one, one) == 0
    assert psi(np.append(one, 0), np.append(other, 0)) == psi(one, other)


def test_an_empty_bin_has_a_finite_psi():
    assert 1 < psi(np.array([0, 100]), np.array([50, 50])) < 10


def test_the_bins_are_quantiles_of_the_first_with_room_below_and_above():
    values = np.arange(1_000.0)
    assert figures_of_numbers(values, values + 100).psi == pytest.approx(
        psi(np.array([100] * 10 + [0]), np.array([0] + [100] * 9 + [100])), rel=0.05
    )
    assert figures_of_numbers(values, values - 5_000).psi > 10


def test_rare_categories_are_one():
    rare = np.arange(200)
    found = figures_of_categories(rare, rare + 200)
    assert (found.psi, found.distance, found.p) == (0.0, 0.0, 1.0)


def test_the_distance_of_categories_is_the_share_that_would_have_to_change():
    assert figures_of_categories(np.repeat([0, 1, 2], [50, 30, 20]), np.repeat([0, 1, 2], [20, 30, 50])).distance == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"days": 0}, "days: got 0"),
        ({"min_distance": 1.1}, "min_distance: got 1.1"),
        ({"false_discoveries": 0.0}, "false_discoveries: got 0"),
        ({"min_psi": -0.1}, "min_psi: got -0.1"),
        ({"floor": 0.2}, "floor: got 0.2; expected: no such field; is it misspelt"),
    ],
)
def test_a_policy_that_means_nothing_is_refused(values: dict[str, Any], told: str):
    with pytest.raises(ContractError, match=f"in DriftPolicy:\n  - {told}"):
        DriftPolicy(**values)
