import dataclasses
from typing import Any

import gate_evidence as given
import pytest
from planted_fits import planted

from evergreen.gate.diagnosis import ADVICE, CLOSING, KEPT, LARGE_GAP, LITTLE, STEEP, Signs, diagnose, name, read_signs
from evergreen.gate.evidence import CANDIDATE, CHAMPION, Evidence, Promise

NAN = float("nan")
HEALTHY = Signs(trivial=8, holdout=5, train=4, promised=3, surely_short=False, champion=3, champion_promised=3, gain=0)
NEXT = 1e-9


def kind(**changes: Any) -> str:
    return name(dataclasses.replace(HEALTHY, **changes))


def test_a_model_that_keeps_what_it_promised_has_no_ailment():
    assert kind() == "nothing"


def test_drift_is_named_when_candidate_and_champion_both_fell_beyond_chance():
    fell = {"holdout": 7.0, "surely_short": True, "champion": 1.0}
    assert kind(**fell) == "drift"
    assert kind(**fell | {"champion": NAN}) == "drift"  # a first model
    assert kind(**fell | {"surely_short": False}) != "drift"
    assert kind(**fell | {"champion": KEPT * 3}) != "drift"
    assert kind(**fell | {"champion": KEPT * 3 - NEXT}) == "drift"
    assert kind(**fell | {"holdout": 8 - KEPT * 3}) != "drift"
    assert kind(**fell | {"holdout": 8 - KEPT * 3 + NEXT}) == "drift"


def test_a_promise_that_was_worth_nothing_is_not_broken_by_drift():
    fell = {"holdout": 9.0, "surely_short": True, "champion": -1.0, "train": 2.0}
    assert kind(**fell | {"promised": 2.0, "champion_promised": 2.0}) == "drift"  # a third of the 6 saved on its own rows
    assert kind(**fell | {"promised": 2.0 - NEXT, "champion_promised": 2.0}) == "overfitting"
    for promised in (0.0, -0.5, NAN):
        assert kind(**fell | {"promised": promised, "champion_promised": 3.0, "train": NAN}) == "unknown"


def test_too_little_data_is_named_when_more_rows_still_help_and_close_the_gap():
    assert kind(gain=STEEP * 8) == "too little data"
    assert kind(gain=STEEP * 8 - NEXT) == "nothing"
    assert kind(holdout=7.9, train=0.9, gain=CLOSING * 7.0) == "too little data"
    assert kind(holdout=7.9, train=0.9, gain=CLOSING * 7.0 - NEXT) == "overfitting"
    assert kind(gain=NAN) == "nothing"


def test_overfitting_is_named_when_little_of_a_large_saving_is_left():
    assert kind(train=2.0, holdout=6.0) == "nothing"  # a third of 6 is kept
    assert kind(train=2.0, holdout=6.0 + NEXT) == "overfitting"
    assert kind(train=7.0, holdout=7.0 + LARGE_GAP * 8) == "overfitting"
    assert kind(train=7.0, holdout=7.0 + LARGE_GAP * 8 - NEXT) == "nothing"


def test_underfitting_is_named_when_little_is_saved_even_on_its_own_rows():
    little = {"trivial": 10.0, "holdout": 9.0}
    assert kind(train=10.0 - LITTLE * 10, **little) == "nothing"
    assert kind(train=10.0 - LITTLE * 10 + NEXT, **little) == "underfitting"
    assert kind(train=10.0, gain=STEEP * 10, **little) == "underfitting"


def test_without_a_learning_curve_nothing_but_drift_can_be_told():
    evidence = given.make_evidence()
    assert diagnose(evidence)["kind"] == "unknown"
    assert "no learning curve" in diagnose(evidence)["sentence"]


def with_curve(evidence: Evidence, *points: tuple[float, Any, Any]) -> Evidence:
    told = [{"rows": rows, "train": train, "holdout": holdout} for rows, train, holdout in points]
    return dataclasses.replace(evidence, facts={"learning_curve": told})


def test_the_gain_is_the_slope_of_the_last_three_points_for_a_doubling_of_rows():
    evidence = with_curve(given.make_evidence(), (800, 1.0, 5.0), (100, 1.0, 99.0), (200, 1.0, 7.0), (400, 1.5, 6.0))
    signs = read_signs(evidence)
    assert signs.gain == pytest.approx(1.0)
    assert signs.train == 1.0


@pytest.mark.parametrize("broken", [NAN, float("inf"), None, "cheap"])
def test_points_that_are_no_numbers_are_left_out(broken: Any):
    evidence = with_curve(given.make_evidence(), (100, 1.0, 7.0), (200, 1.0, 6.0), (400, broken, 5.0), (800, 1.0, broken), (0, 1.0, 9.0))
    signs = read_signs(evidence)
    assert (signs.train, signs.gain) == (1.0, pytest.approx(1.0))
    assert diagnose(with_curve(evidence, (100, 1.0, broken)))["kind"] == "unknown"


def test_one_point_has_no_slope():
    evidence = given.make_evidence()
    for points in ([(100, 1.0, 5.0)], [(100, 1.0, 5.0), (100, 1.0, 4.0)]):
        assert "gain" not in diagnose(with_curve(evidence, *points))["numbers"]


def test_less_than_promised_counts_beyond_the_chance_in_both():
    evidence = given.make_evidence()
    saved = read_signs(evidence).saved
    se = 0.2
    for promised, short in ((saved + 0.3, False), (saved + 2.0, True)):
        signs = read_signs(dataclasses.replace(evidence, promise=Promise(promised, se, clusters=60, rows=3_000)))
        assert (signs.promised, signs.surely_short) == (promised, short)
    wide = dataclasses.replace(evidence, promise=Promise(saved + 2.0, 2.0, clusters=60, rows=3_000))
    assert not read_signs(wide).surely_short
    assert not read_signs(dataclasses.replace(evidence, promise=None)).surely_short


def test_the_champions_own_promise_is_used_where_it_is_known():
    evidence = given.make_evidence()
    assert read_signs(evidence).champion_promised == evidence.promise.saving
    assert read_signs(dataclasses.replace(evidence, facts={"champion_promise": 2.5})).champion_promised == 2.5


def test_amounts_are_against_the_best_trivial_policy():
    evidence = given.make_evidence()
    signs, cheapest = read_signs(evidence), min(float(policy.measure.mean()) for policy in evidence.trivial.values())
    assert signs.saved == pytest.approx(cheapest - evidence.contenders[CANDIDATE].measure.mean())
    assert signs.champion == pytest.approx(cheapest - evidence.contenders[CHAMPION].measure.mean())


CASES = {
    "an overfit tree": ("overfitting", "Overfitting: it saves"),
    "an underfit stump": ("underfitting", "Underfitting: even on the rows it learnt from it saves only"),
    "a sample too small": ("too little data", "Too little data: at the end of the learning curve twice the rows still save"),
    "a drifted holdout": ("drift", "Drift: the world is no longer what it learnt; it saves"),
    "a healthy regression": ("nothing", "The evidence points to neither"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("first", [False, True], ids=["later model", "first model"])
def test_what_was_planted_in_a_real_fit_is_named(case: str, first: bool):
    found = [diagnose(planted(case, seed, first=first)) for seed in range(2)]
    kind, sentence = CASES[case]
    assert [one["kind"] for one in found] == [kind] * 2
    assert all(one["sentence"].startswith(sentence) and one["advice"] == ADVICE[kind] for one in found)


def test_numbers_that_are_unknown_are_left_out():
    numbers = diagnose(given.make_evidence(first=True, promise=None))["numbers"]
    assert set(numbers) == {"trivial", "holdout", "surely_short"}
