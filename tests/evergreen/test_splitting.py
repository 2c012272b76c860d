from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy.contract import PROBLEM
from workspaces import changed, toy_frame

from evergreen.contract import Problem
from evergreen.data.snapshots import row_fingerprints
from evergreen.errors import DataError
from evergreen.policies import ForwardSplit, HashedSplit
from evergreen.splitting import leave_out, rolling_origin, split_rows

HASHED = changed(split=HashedSplit(group="customer_id", holdout_share=0.3))


def forward(*, holdout_days: int = 10, lookback: int = 0, min_train_days: int = 5) -> Problem:
    split = ForwardSplit(holdout_days=holdout_days, feature_lookback=timedelta(days=lookback), min_train_days=min_train_days)
    return changed(split=split)


@settings(max_examples=20, deadline=None)
@given(holdout_days=st.integers(1, 20), lookback=st.integers(0, 10))
def test_the_holdout_is_the_newest_days_and_the_embargo_before_it_stays_empty(holdout_days: int, lookback: int):
    rows, problem = toy_frame(40), forward(holdout_days=holdout_days, lookback=lookback, min_train_days=1)
    split = split_rows(rows, problem)
    newest = rows["ordered_at"].max()
    assert split.end == newest
    assert split.start == newest - pd.Timedelta(days=holdout_days)
    late = rows["ordered_at"] > split.start
    pd.testing.assert_frame_equal(split.holdout, rows[late])
    early = rows["ordered_at"] <= split.start - pd.Timedelta(days=1 + lookback)
    pd.testing.assert_frame_equal(split.train, rows[early])
    assert set(split.train["order_id"]).isdisjoint(split.holdout["order_id"])


def test_an_embargo_is_as_long_as_the_labels_take_and_the_features_look_back():
    split = split_rows(toy_frame(40), forward(lookback=3))
    gap = split.holdout["ordered_at"].min() - split.train["ordered_at"].max()
    assert gap >= pd.Timedelta(days=4)


def test_too_few_days_to_train_on_are_told_with_what_was_expected():
    assert len(split_rows(toy_frame(20), forward(min_train_days=9)).train)
    with pytest.raises(DataError, match=r"Got 9 days to train on, before a holdout of 10 days and an embargo of 1 day, .*least 10\. Wait"):
        split_rows(toy_frame(20), forward(min_train_days=10))


@pytest.mark.parametrize("problem", [forward(), HASHED])
def test_no_labelled_rows_at_all_are_told(problem: Problem):
    with pytest.raises(DataError, match="Wait for more outcomes, or change the split"):
        split_rows(toy_frame(20).head(0), problem)


def test_a_hashed_split_that_leaves_a_side_empty_is_told():
    one_customer = toy_frame(5).assign(customer_id=7)
    with pytest.raises(DataError, match=r"Got \d+ labelled rows, which leave \d+ to train on and \d+ to judge with; expected some of both"):
        split_rows(one_customer, HASHED)


def test_a_hashed_split_reserves_about_its_share_of_the_groups_and_splits_none():
    split = split_rows(toy_frame(40), HASHED)
    held, learnt = set(split.holdout["customer_id"]), set(split.train["customer_id"])
    assert held.isdisjoint(learnt)
    assert 0.2 < len(held) / len(held | learnt) < 0.4
    assert len(split.holdout) + len(split.train) == len(toy_frame(40))
    assert split.start is None
    assert split.end == toy_frame(40)["ordered_at"].max()


def test_what_was_learnt_from_is_left_out_of_the_holdout_and_counted():
    split = split_rows(toy_frame(40), HASHED)
    learnt = row_fingerprints(pd.concat([split.train, split.holdout.head(3)]), PROBLEM.key)
    clean = leave_out(split, learnt, HASHED)
    pd.testing.assert_frame_equal(clean.holdout, split.holdout.iloc[3:])
    assert (clean.left_out, len(clean.train)) == (3, len(split.train))
    assert leave_out(split, np.empty(0, np.uint64), HASHED).left_out == 0


def test_a_holdout_of_which_every_row_was_learnt_from_is_told():
    split = split_rows(toy_frame(40), HASHED)
    with pytest.raises(DataError, match=rf"has learnt from all {len(split.holdout):,} rows to judge with; expected some that none"):
        leave_out(split, row_fingerprints(split.holdout, PROBLEM.key), HASHED)


def test_a_hashed_split_stays_as_it_is_when_rows_are_added():
    before, after = split_rows(toy_frame(5), HASHED), split_rows(toy_frame(40), HASHED)
    assert set(before.holdout["order_id"]) <= set(after.holdout["order_id"])
    assert set(before.train["order_id"]) <= set(after.train["order_id"])


@pytest.mark.parametrize("kind", ["float64", "Int64", "str", "object"])
def test_a_hashed_split_goes_by_the_group_whatever_type_its_column_has(kind: str):
    rows = toy_frame(5)
    other = split_rows(rows.astype({"customer_id": kind}), HASHED)
    assert other.holdout["order_id"].tolist() == split_rows(rows, HASHED).holdout["order_id"].tolist()


@pytest.mark.parametrize("kind", ["float64", "Int64", "object"])
def test_rows_without_group_are_one_group_and_move_no_other(kind: str):
    rows = toy_frame(5)
    torn = rows.assign(customer_id=rows["customer_id"].astype("Int64").where(rows.index > 9).astype(kind))
    before, after = split_rows(rows, HASHED), split_rows(torn, HASHED)
    known = set(rows["order_id"][rows.index > 9])
    assert set(after.holdout["order_id"]) & known == set(before.holdout["order_id"]) & known
    lost = set(rows["order_id"][rows.index <= 9])
    assert lost <= set(after.train["order_id"]) or lost <= set(after.holdout["order_id"])


def test_groups_with_decimals_stay_apart():
    rows = toy_frame(5)
    split = split_rows(rows.assign(customer_id=rows["customer_id"] + 0.5), HASHED)
    assert 0.1 < len(split.holdout) / len(rows) < 0.5


def test_another_salt_reserves_other_groups():
    other = changed(split=HashedSplit(group="customer_id", holdout_share=0.3, salt="another"))
    assert set(split_rows(toy_frame(5), other).holdout["customer_id"]) != set(split_rows(toy_frame(5), HASHED).holdout["customer_id"])


@pytest.mark.parametrize("lookback", [0, 4])
def test_folds_look_back_only_and_keep_the_embargo(lookback: int):
    rows, problem = toy_frame(40), forward(holdout_days=5, lookback=lookback)
    folds = list(rolling_origin(rows, problem))
    assert len(folds) == problem.retraining.folds
    time = rows["ordered_at"].to_numpy()
    for fit, judge in folds:
        assert time[judge].min() - time[fit].max() >= np.timedelta64(1 + lookback, "D")
        assert time[judge].max() - time[judge].min() <= np.timedelta64(5, "D")


def test_folds_move_forward_and_judge_the_newest_rows_once():
    rows = toy_frame(40)
    folds = list(rolling_origin(rows, forward(holdout_days=5)))
    judged = np.concatenate([judge for _, judge in folds])
    assert len(np.unique(judged)) == len(judged)
    newest = rows["ordered_at"] > rows["ordered_at"].max() - pd.Timedelta(days=15)
    assert set(judged) == set(np.flatnonzero(newest))
    assert [len(fit) for fit, _ in folds] == sorted(len(fit) for fit, _ in folds)


def test_folds_of_a_short_history_are_shorter_than_the_holdout():
    folds = list(rolling_origin(toy_frame(12), forward(holdout_days=30)))
    assert len(folds) == 3


def test_folds_without_time_keep_groups_together_and_are_the_same_again():
    rows = toy_frame(10)
    folds = list(rolling_origin(rows, HASHED))
    for fit, judge in folds:
        assert set(rows["customer_id"].iloc[fit]).isdisjoint(rows["customer_id"].iloc[judge])
    assert sorted(np.concatenate([judge for _, judge in folds])) == list(range(len(rows)))
    assert all((one[1] == two[1]).all() for one, two in zip(folds, rolling_origin(rows, HASHED), strict=True))


def test_fewer_groups_than_folds_are_told_in_one_sentence():
    with pytest.raises(DataError, match="folds"):
        list(rolling_origin(toy_frame(2).assign(customer_id=lambda rows: rows.index % 2), HASHED))


def test_splitting_changes_nothing_in_the_rows_given():
    rows = toy_frame(20)
    before = rows.copy(deep=True)
    split_rows(rows, forward())
    split_rows(rows, HASHED)
    list(rolling_origin(rows, PROBLEM))
    pd.testing.assert_frame_equal(rows, before)
