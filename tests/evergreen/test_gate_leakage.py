import dataclasses

import gate_evidence as given
import numpy as np
import pandas as pd
import pytest

from evergreen.gate.checks_leakage import leakage
from evergreen.gate.finding import Outcome
from evergreen.policies import GatePolicy

POLICY = GatePolicy()


def ask(evidence, policy=POLICY):
    return leakage(evidence, policy, policy.alpha)


def with_feature(values, evidence=None, **changes):
    evidence = evidence or given.make_evidence()
    return dataclasses.replace(evidence, features=evidence.features.assign(planted=values), **changes)


def late_rows(count):
    """A marker on `count` rows, all of which leave late."""
    evidence = given.make_evidence(days=60, per_day=100)
    marked = np.zeros(len(evidence.y), dtype=bool)
    marked[np.flatnonzero(evidence.y == 1)[:count]] = True
    return evidence, marked


def test_honest_features_pass_and_the_strongest_is_named():
    finding = ask(given.make_evidence())
    assert finding.outcome is Outcome.PASS
    assert "the strongest alone is wind" in finding.reason
    assert 0.6 < finding.estimate < 0.9


@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_that_ranks_the_outcomes_is_refused_in_either_direction(sign):
    evidence = given.make_evidence()
    planted = sign * (evidence.y + np.random.default_rng(0).normal(size=len(evidence.y)) * 0.3)
    finding = ask(with_feature(planted, evidence))
    assert finding.outcome is Outcome.REJECT
    assert "planted alone ranks the outcomes" in finding.reason


@pytest.mark.parametrize(("known", "outcome"), [(50, Outcome.REJECT), (49, Outcome.PASS)])
def test_a_number_that_is_known_on_fewer_than_fifty_rows_tells_nothing(known, outcome):
    evidence = given.make_evidence()
    rows = np.concatenate([np.flatnonzero(evidence.y == 1)[:20], np.flatnonzero(evidence.y == 0)[: known - 20]])
    planted = np.full(len(evidence.y), np.nan)
    planted[rows] = evidence.y[rows] + np.random.default_rng(0).random(known) * 0.5
    assert ask(with_feature(planted, evidence)).outcome is outcome


def test_the_limit_itself_is_allowed():
    finding = ask(given.make_evidence())
    assert ask(given.make_evidence(), GatePolicy(max_feature_auc=finding.estimate)).outcome is Outcome.PASS
    assert ask(given.make_evidence(), GatePolicy(max_feature_auc=finding.estimate - 1e-9)).outcome is Outcome.REJECT


def test_a_missing_value_that_settles_the_outcome_is_refused_although_its_auc_is_small():
    evidence, marked = late_rows(200)
    planted = pd.Series(np.where(marked, None, "N123"), dtype="str")
    finding = ask(with_feature(planted, evidence))
    assert finding.outcome is Outcome.REJECT
    assert "planted missing settles the outcome: 200 of 200 rows are of class 1" in finding.reason


def test_missing_numbers_settle_it_too():
    evidence, marked = late_rows(200)
    planted = np.where(marked, np.nan, np.random.default_rng(0).normal(size=len(marked)))
    assert "planted missing settles" in ask(with_feature(planted, evidence)).reason


def test_a_value_that_is_only_known_with_one_outcome_settles_it():
    evidence, marked = late_rows(200)
    planted = np.where(marked, np.random.default_rng(0).normal(size=len(marked)), np.nan)
    assert "planted known settles" in ask(with_feature(planted, evidence)).reason


@pytest.mark.parametrize("kind", [str, int, bool, "category"])
def test_a_category_or_flag_that_settles_the_outcome_is_refused_by_name(kind):
    evidence, marked = late_rows(200)
    planted = pd.Series(marked.astype(int)).astype(kind)
    finding = ask(with_feature(planted, evidence))
    assert finding.outcome is Outcome.REJECT
    assert f"planted = {planted[int(marked.argmax())]} settles" in finding.reason


def test_too_few_rows_to_be_sure_settle_nothing():
    enough, marked = late_rows(149)  # 0.05 ** (1 / 149) = 0.9801
    assert ask(with_feature(np.where(marked, "x", "y"), enough)).outcome is Outcome.REJECT
    few, marked = late_rows(148)
    assert ask(with_feature(np.where(marked, "x", "y"), few)).outcome is Outcome.PASS


def test_a_category_of_the_common_class_is_no_leak():
    evidence = given.make_evidence()
    y = np.zeros_like(evidence.y)
    y[:150] = 1  # class 0 is above 0.9: a category without any event is what most rows are
    planted = np.where(np.arange(len(y)) % 2 == 0, "a", "b").astype(object)
    planted[300:1000] = "c"
    assert ask(with_feature(planted, evidence, y=y)).outcome is Outcome.PASS


def test_a_feature_without_values_or_with_one_value_passes():
    evidence = given.make_evidence()
    assert ask(with_feature(np.full(2000, np.nan), evidence)).outcome is Outcome.PASS
    assert ask(with_feature(np.full(2000, 3.0), evidence)).outcome is Outcome.PASS


def test_a_time_that_follows_the_outcome_is_refused():
    evidence = given.make_evidence()
    planted = pd.Timestamp("2013-05-01", tz="UTC") + pd.to_timedelta(evidence.y + np.random.default_rng(0).random(2000) * 0.5, unit="D")
    assert ask(with_feature(planted, evidence)).outcome is Outcome.REJECT


def test_in_regression_a_copy_of_the_target_is_refused_and_a_good_feature_is_not():
    rng = np.random.default_rng(1)
    y = rng.normal(size=2000)
    copy, good = np.exp(y) * 3, y + rng.normal(size=2000) * 0.5
    evidence = given.make_evidence(task="regression", y=y)
    assert ask(with_feature(good, evidence)).outcome is Outcome.PASS
    finding = ask(with_feature(copy, evidence))
    assert finding.outcome is Outcome.REJECT
    assert "planted explains the target" in finding.reason


@pytest.mark.parametrize("sign", [1, -1])
def test_with_more_classes_a_feature_that_tells_one_apart_is_refused(sign):
    rng = np.random.default_rng(2)
    y = rng.choice(["a", "b", "c"], 2000)
    evidence = given.make_evidence(task="multiclass", y=y)
    assert ask(evidence).outcome is Outcome.PASS
    planted = sign * np.where(y == "c", 2.0, 0.0) + rng.random(2000)
    assert "planted alone ranks" in ask(with_feature(planted, evidence)).reason


def test_features_of_other_rows_cannot_be_judged():
    evidence = given.make_evidence()
    with pytest.raises(ValueError, match="1999 rows of features for 2000"):
        ask(dataclasses.replace(evidence, features=evidence.features[:-1]))


def rare(share: float, *, marked: int = 90, events: int = 120, rows: int = 12_000):
    """One class in a hundred; a feature is missing on `marked` rows, of which this share are of it."""
    y = np.zeros(rows, dtype=int)
    y[:events] = 1
    feature = np.random.default_rng(0).normal(size=rows)
    hits = round(share * marked)
    feature[:hits] = np.nan
    feature[events : events + marked - hits] = np.nan
    evidence = given.make_evidence(days=60, per_day=rows // 60)
    return dataclasses.replace(evidence, y=y, features=pd.DataFrame({"tailnum": feature}))


@pytest.mark.parametrize(("share", "outcome"), [(1.0, Outcome.REJECT), (0.97, Outcome.REJECT), (0.9, Outcome.PASS), (0.5, Outcome.PASS)])
def test_a_class_of_one_in_a_hundred_is_settled_by_less(share, outcome):
    finding = leakage(rare(share), POLICY, 0.01)
    assert finding.outcome is outcome
    assert ("missing settles the outcome" in finding.reason) == (outcome is Outcome.REJECT)


def test_a_class_of_a_tenth_of_all_is_not_rare():
    assert leakage(rare(0.97, events=1_200), POLICY, 0.01).outcome is Outcome.PASS


def gaps(share_of_high: float, *, rows: int = 3_000, many: int = 200):
    """A regression in which a feature is missing on `many` rows, of which this share is among the highest fifth."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=rows)
    order = np.argsort(-y)
    high = int(share_of_high * many)
    gone = np.concatenate([order[:high], order[-(many - high) :] if many > high else order[:0]])
    feature = rng.normal(size=rows)
    feature[gone] = np.nan
    evidence = given.make_evidence(days=60, per_day=rows // 60)
    return dataclasses.replace(evidence, task="regression", y=y, features=pd.DataFrame({"tailnum": feature}))


def test_a_missing_value_that_tells_that_a_number_is_high_is_a_leak():
    finding = leakage(gaps(1.0), POLICY, 0.01)
    assert finding.outcome is Outcome.REJECT
    assert "tailnum missing settles the outcome: 200 of 200 rows are above the 50% point of all" in finding.reason


def test_a_missing_value_that_tells_that_a_number_is_low_is_a_leak():
    evidence = gaps(1.0)
    finding = leakage(dataclasses.replace(evidence, y=-np.asarray(evidence.y)), POLICY, 0.01)
    assert finding.outcome is Outcome.REJECT
    assert "are not above the" in finding.reason


@pytest.mark.parametrize(("share", "outcome"), [(0.95, Outcome.PASS), (0.5, Outcome.PASS)])
def test_a_missing_value_that_only_leans_to_a_side_is_none(share, outcome):
    assert leakage(gaps(share), POLICY, 0.01).outcome is outcome


def named(noise: float, *, names: int = 20, rows: int = 3_000):
    """A regression with a text that names the target's twentieth."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=rows)
    told = pd.qcut(pd.Series(y + noise * rng.normal(size=rows)), names, labels=False)
    evidence = given.make_evidence(days=60, per_day=rows // 60)
    return dataclasses.replace(evidence, task="regression", y=y, features=pd.DataFrame({"tariff": told.map("t{}".format)}))


def test_a_text_that_names_a_number_is_a_leak():
    finding = leakage(named(0.0), POLICY, 0.01)
    assert finding.outcome is Outcome.REJECT
    assert "the categories of tariff explain the target with an R2 of 0.9" in finding.reason
    assert leakage(named(0.3), POLICY, 0.01).outcome is Outcome.PASS


def test_categories_of_a_few_rows_each_explain_nothing():
    assert leakage(named(0.0, names=100), POLICY, 0.01).outcome is Outcome.PASS
