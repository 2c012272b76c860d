import numpy as np
import pandas as pd
import pytest

from evergreen.data.support import outside_support, separability

TRAIN = pd.DataFrame(
    {
        "wind": [0.0, 5.0, 10.0],
        "gust": [1.0, None, 3.0],
        "origin": ["EWR", "JFK", None],
        "carrier": ["UA", "UA", "DL"],
        "at": pd.to_datetime(["2013-01-01", "2013-01-11", "2013-01-05"], utc=True),
        "is_late": [True, False, True],
    }
)


def outside(slack: float = 0.1, **values: object) -> list[str]:
    """The features that a row like the second one, with other values, is outside of."""
    row = pd.DataFrame([{**TRAIN.iloc[1].to_dict(), **values}]).astype({"gust": float, "wind": float})
    found = outside_support(TRAIN, row, slack=slack, shift=1.0)
    return [str(name) for name in found.columns[found.iloc[0]]]


def test_rows_like_the_training_rows_are_inside():
    assert not outside_support(TRAIN, TRAIN, slack=0.0, shift=0.0).any(axis=None)


@pytest.mark.parametrize(("value", "is_outside"), [(11.0, False), (11.01, True), (-1.0, False), (-1.01, True), (np.inf, True)])
def test_a_number_is_outside_when_it_is_beyond_the_range_by_more_than_the_slack(value, is_outside):
    assert outside(wind=value) == (["wind"] if is_outside else [])


def test_without_slack_the_ends_of_the_range_are_the_last_that_is_inside():
    assert outside(slack=0.0, wind=10.0) == []
    assert outside(slack=0.0, wind=10.0001) == ["wind"]


def test_a_time_beyond_the_range_is_outside():
    assert outside(at=pd.Timestamp("2013-01-12", tz="UTC")) == []
    assert outside(at=pd.Timestamp("2013-01-12T00:01", tz="UTC")) == ["at"]


def test_an_unseen_category_is_outside():
    assert outside(origin="LGA", carrier="DL") == ["origin"]


def test_a_missing_value_is_outside_only_where_training_had_none_missing():
    assert outside(gust=None, origin=None) == []
    assert outside(wind=None, carrier=None) == ["wind", "carrier"]


def emptied(share: float, rows: int = 1_000) -> pd.DataFrame:
    """Rows of which this share lacks its wind."""
    return pd.DataFrame({"wind": np.where(np.arange(rows) < share * rows, np.nan, 5.0)})


# by chance 0.25 may be off by 3 sqrt(0.25 * 0.75 / 1,000) = 0.041 in 1,000 rows
@pytest.mark.parametrize(("share", "rows_outside"), [(0.25, 0), (0.49, 0), (0.50, 500), (1.0, 1_000), (0.01, 0), (0.0, 1_000)])
def test_a_feature_that_is_missing_far_more_or_far_less_often_than_in_training_is_outside(share, rows_outside):
    found = outside_support(emptied(0.25), emptied(share), slack=0.1, shift=0.2)["wind"]
    assert found.sum() == rows_outside
    assert found.index.equals(emptied(share).index)


def test_of_few_rows_many_may_be_missing_by_chance():
    assert not outside_support(emptied(0.25), emptied(0.75, rows=4), slack=0.1, shift=0.2).any(axis=None)
    assert outside_support(emptied(0.25), emptied(0.75, rows=100), slack=0.1, shift=0.2)["wind"].sum() == 75


def test_no_rows_are_not_outside():
    assert outside_support(emptied(0.25), emptied(0.0, rows=0), slack=0.1, shift=0.2).shape == (0, 1)


def test_true_and_false_are_numbers_too():
    assert outside(is_late=True) == []
    assert outside_support(TRAIN[TRAIN["is_late"]], TRAIN, slack=0.1, shift=0.2)["is_late"].tolist() == [False, True, False]


def test_the_rows_keep_their_index():
    found = outside_support(TRAIN, TRAIN.set_index(pd.Index([7, 8, 9])), slack=0.0, shift=0.2)
    assert found.index.tolist() == [7, 8, 9]


def numbers(shift: float, rows: int = 500, seed: int = 0) -> pd.DataFrame:
    """Rows whose numbers and categories lie `shift` apart."""
    rng = np.random.default_rng([seed, int(10 * shift)])
    return pd.DataFrame({"x": rng.normal(shift, 1, rows), "kind": np.where(rng.random(rows) < 0.5 + shift / 10, "a", "b")})


def test_rows_of_the_same_kind_cannot_be_told_apart_and_others_can():
    assert separability(numbers(0), numbers(0, seed=1), seed=0) == pytest.approx(0.5, abs=0.1)
    assert separability(numbers(0), numbers(4), seed=0) > 0.98


def test_too_few_rows_are_not_told_apart():
    assert separability(numbers(0), numbers(0, rows=99), seed=0) is None
    assert separability(numbers(0), numbers(0, rows=100), seed=0) is not None


def test_what_training_knows_nothing_of_is_outside_where_it_is_known():
    train, rows = pd.DataFrame({"x": [np.nan, np.nan]}), pd.DataFrame({"x": [1.0, np.nan]})
    assert outside_support(train, rows, slack=0.1, shift=0.2)["x"].tolist() == [True, False]


def test_nullable_numbers_are_numbers():
    train, rows = pd.DataFrame({"x": pd.array([1, 2, None], "Int64")}), pd.DataFrame({"x": pd.array([9, None, 2], "Int64")})
    assert outside_support(train, rows, slack=0.1, shift=0.2)["x"].tolist() == [True, False, False]


def test_columns_without_any_value_do_not_keep_the_others_from_being_told_apart():
    empty = [numbers(shift).assign(nothing=np.nan, far=np.inf) for shift in (0, 4)]
    assert separability(*empty, seed=0) > 0.98
    assert separability(empty[0][["nothing"]], empty[1][["nothing"]], seed=0) is None
