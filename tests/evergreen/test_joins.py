import re
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy.contract import PROBLEM
from workspaces import changed, with_join, with_source

from evergreen import policies as p
from evergreen.contract import Problem
from evergreen.data.joins import PREDICTION_TIME, JoinReport, join_sources, late_features
from evergreen.errors import ContractError, JoinError

NOON = pd.Timestamp("2026-01-10 12:00", tz="UTC")
ANY_MATCH = with_join(1, with_join(0, min_match=0.0), min_match=0.0)
KEYS = st.sampled_from(["a", "b", None])
HOURS = st.integers(0, 40)


def hours(*numbers: int) -> pd.Series:
    """Times, so many hours after noon."""
    return pd.Series([NOON + pd.Timedelta(hours=number) for number in numbers], dtype="datetime64[us, UTC]")


def orders(*rows: tuple[int, str | None, str | None]) -> pd.DataFrame:
    """Orders by hour, product and customer."""
    ids = pd.Series([f"o{number}" for number in range(len(rows))], dtype="str")
    product, customer = (pd.Series([row[i] for row in rows], dtype="str") for i in (1, 2))
    return pd.DataFrame({"order_id": ids, "ordered_at": hours(*(row[0] for row in rows)), "product": product, "customer_id": customer})


def stock(*rows: tuple[int, str | None, int]) -> pd.DataFrame:
    """Stock levels by hour and product."""
    times, product = hours(*(row[0] for row in rows)), pd.Series([row[1] for row in rows], dtype="str")
    return pd.DataFrame({"product": product, "observed_at": times, "stock_level": pd.Series([row[2] for row in rows], dtype="int64")})


@pytest.mark.parametrize("name", [PREDICTION_TIME, "stock.observed_at"])
def test_a_column_with_the_name_of_one_that_the_joins_make_is_refused_and_not_overwritten(name: str):
    given = tables()
    with pytest.raises(ContractError, match=rf"sources\.orders: the column '{name}' has the name of one that Evergreen makes itself"):
        join_sources(PROBLEM, given | {"orders": given["orders"].assign(**{name: 1})})
    taking = with_join(1, take=("region", name))
    with pytest.raises(ContractError, match=rf"sources\.customers: the column '{name}' has the name .* Give it another in the reader"):
        join_sources(taking, given | {"customers": given["customers"].assign(**{name: 1})})
    join_sources(PROBLEM, given | {"customers": given["customers"].assign(**{name: 1})})  # nobody takes it


def customers(*rows: tuple[str | None, str]) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": [row[0] for row in rows], "region": [row[1] for row in rows]}, dtype="str")


def tables(
    ordered: pd.DataFrame | None = None, levels: pd.DataFrame | None = None, known: pd.DataFrame | None = None
) -> dict[str, pd.DataFrame]:
    return {
        "orders": orders((0, "a", "anna"), (1, "b", "bert")) if ordered is None else ordered,
        "stock": stock((-5, "a", 10), (-5, "b", 20)) if levels is None else levels,
        "customers": customers(("anna", "north"), ("bert", "south")) if known is None else known,
    }


def joined(problem: Problem = ANY_MATCH, **given_tables: Any) -> pd.DataFrame:
    return join_sources(problem, tables(**given_tables))[0]


def level(frame: pd.DataFrame) -> list[float | None]:
    return [None if pd.isna(value) else value for value in frame["stock_level"]]


def region(frame: pd.DataFrame) -> list[str | None]:
    return [None if pd.isna(value) else value for value in frame["region"]]


def test_as_of_takes_the_newest_row_known_by_then_for_the_same_key():
    levels = stock((-9, "a", 1), (-3, "a", 2), (-2, "b", 99), (0, "a", 3), (5, "a", 4))
    assert level(joined(ordered=orders((0, "a", "anna")), levels=levels)) == [2]


def test_as_of_takes_a_row_known_just_at_the_offset_and_none_a_moment_later():
    def found(minutes: int) -> list[float | None]:
        levels = stock((0, "a", 7)).assign(observed_at=[NOON + pd.Timedelta(minutes=minutes)])
        return level(joined(ordered=orders((0, "a", "anna")), levels=levels))

    assert found(-60) == [7]
    assert found(-59) == [None]


def test_as_of_takes_nothing_older_than_the_tolerance():
    ordered = orders((0, "a", "anna"))
    assert level(joined(ordered=ordered, levels=stock((-25, "a", 7)))) == [7]
    assert level(joined(ordered=ordered, levels=stock((-26, "a", 7)))) == [None]


def test_a_lookup_takes_the_row_of_the_same_key():
    frame = joined(ordered=orders((0, "a", "bert"), (1, "a", "anna"), (2, "a", "carl")))
    assert region(frame) == ["south", "north", None]


def test_a_row_without_key_finds_nothing_in_a_lookup_even_where_the_table_has_one_without():
    ordered = orders((0, "a", None), (1, "a", "anna"))
    assert region(joined(ordered=ordered, known=customers((None, "nowhere"), ("anna", "north")))) == [None, "north"]


def test_a_row_without_key_finds_nothing_as_of_even_where_the_source_has_one_without():
    ordered = orders((0, None, "anna"), (1, "a", "anna"))
    assert level(joined(ordered=ordered, levels=stock((-5, None, 99), (-5, "a", 10)))) == [None, 10]


def test_rows_come_in_order_of_time_and_key_with_the_time_of_their_prediction():
    frame = joined(ordered=orders((3, "a", "anna"), (1, "b", "bert"), (1, "a", "anna")))
    assert frame["order_id"].tolist() == ["o1", "o2", "o0"]
    assert frame[PREDICTION_TIME].tolist() == hours(0, 0, 2).tolist()
    assert frame["stock.observed_at"].tolist() == hours(-5, -5, -5).tolist()


def test_the_reports_count_matches_and_rows_nobody_asked_for():
    ordered = orders((0, "a", "anna"), (0, "c", "dora"))
    _, reports = join_sources(ANY_MATCH, tables(ordered))
    assert reports == [JoinReport("stock", rows=2, matched=1, unused=1), JoinReport("customers", rows=2, matched=1, unused=1)]
    assert reports[0].match_rate == 0.5
    assert JoinReport("stock", rows=0, matched=0, unused=0).match_rate == 1.0


def test_the_frames_given_are_left_as_they_were():
    given_tables = tables(orders((3, "a", "anna"), (1, "b", "bert")))
    before = {name: frame.copy(deep=True) for name, frame in given_tables.items()}
    join_sources(ANY_MATCH, given_tables)
    for name, frame in given_tables.items():
        pd.testing.assert_frame_equal(frame, before[name])


def test_times_in_another_unit_are_joined_all_the_same():
    levels = stock((-5, "a", 10), (-5, "b", 20))
    other = levels.assign(observed_at=levels["observed_at"].astype("datetime64[ns, UTC]"))
    assert level(joined(levels=other)) == level(joined(levels=levels)) == [10, 20]


def test_text_keys_are_joined_whichever_type_of_text_the_reader_gave():
    levels = stock((-5, "a", 10), (-5, "b", 20))
    known = customers(("anna", "north"), ("bert", "south"))
    frame = joined(levels=levels.astype({"product": object}), known=known.astype({"customer_id": object}))
    assert level(frame) == [10, 20]
    assert region(frame) == ["north", "south"]


def test_an_entity_that_comes_twice_is_refused_with_examples():
    twice = orders((0, "a", "anna"), (1, "a", "anna"), (2, "a", "anna")).assign(order_id=["o7", "o8", "o7"])
    with pytest.raises(JoinError, match=r"orders: 2 rows share their key \(order_id\), .*order_id o7⟧\. Expected each key once"):
        joined(ordered=twice)


def test_a_source_with_a_repeated_key_is_refused_with_examples():
    with pytest.raises(JoinError, match=r"customers: 2 rows share their key \(customer_id\), so rows would multiply; .*customer_id anna"):
        joined(known=customers(("anna", "north"), ("anna", "south"), ("bert", "south")))
    with pytest.raises(JoinError, match=r"stock: 2 rows share their key \(product, observed_at\).*product a, observed_at 2026-01-10 07"):
        joined(levels=stock((-5, "a", 1), (-5, "a", 2)))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"on": {"client": "customer_id"}}, r"joins\.1\.on: \['client'\] not in the rows so far, which has order_id, ordered_at"),
        ({"take": ("country",)}, r"joins\.1\.take: \['country'\] not in customers, which has customer_id, region"),
    ],
)
def test_a_column_that_is_missing_is_named_with_those_there_are(values: dict[str, Any], told: str):
    with pytest.raises(ContractError, match=told):
        joined(with_join(1, **values))


def test_a_key_that_is_missing_in_the_source_is_named():
    with pytest.raises(ContractError, match=r"joins\.1\.on: \['customer_id'\] not in customers, which has id, region"):
        joined(known=customers(("anna", "north")).rename(columns={"customer_id": "id"}))


def test_a_joined_column_may_not_take_the_place_of_another():
    ordered = orders((0, "a", "anna"), (1, "b", "bert")).assign(region=["west", "east"])
    with pytest.raises(ContractError, match=r"joins\.1\.take: \['region'\] of customers is there already\. Take it out, or rename"):
        joined(ordered=ordered)


@pytest.mark.parametrize(("index", "taken"), [(1, "customer_id"), (0, "product"), (0, "observed_at")])
def test_a_join_may_not_take_the_key_or_time_that_the_rows_already_have_from_it(index: int, taken: str):
    on = [{"product": "product"}, {"buyer": "customer_id"}][index]
    ordered = orders((0, "a", "anna")).rename(columns={"customer_id": "buyer"} if index else {})
    with pytest.raises(ContractError, match=rf"joins\.{index}\.take: .*{taken}"):
        joined(with_join(index, ANY_MATCH, on=on, take=(taken,)), ordered=ordered)


def test_keys_of_different_types_are_refused_instead_of_matching_nothing():
    ordered = orders((0, "a", "1"), (1, "b", "2")).astype({"customer_id": "int64"})
    with pytest.raises(JoinError, match=r"customers: customer_id is int64, customer_id there is str; nothing would match"):
        joined(ordered=ordered)


def test_too_few_matches_are_refused_with_those_that_found_nothing():
    ordered = orders((0, "a", "anna"), (1, "a", "carl"), (2, "a", "dora"), (3, "a", "carl"))
    problem = with_join(1, ANY_MATCH, min_match=0.26)
    told = r"customers: 25\.0% of 4 rows found a partner by customer_id; expected at least 26\.0%\. .*customer_id carl; customer_id dora⟧\."
    with pytest.raises(JoinError, match=told):
        joined(problem, ordered=ordered)
    assert len(joined(with_join(1, ANY_MATCH, min_match=0.25), ordered=ordered)) == 4


@pytest.mark.parametrize(
    ("hour", "product", "ahead"),
    [
        (200, "a", " 1 of them lie farther ahead than stock reaches, whose newest row is of 2026-01-10 07:00. Is a delivery"),
        (1, "c", " Is a"),
    ],
)
def test_rows_that_lie_farther_ahead_than_what_they_are_joined_with_are_told_as_that(hour: int, product: str, ahead: str):
    problem = with_join(0, ANY_MATCH, min_match=0.9)
    with pytest.raises(JoinError, match=rf"50\.0% of 2 rows .*⟧\.{re.escape(ahead)}"):
        joined(problem, ordered=orders((0, "a", "anna"), (hour, product, "anna")))


def test_what_was_observed_after_the_prediction_is_refused_with_source_and_examples():
    # The contract refuses such an offset; the rows are looked at all the same.
    problem = ANY_MATCH.model_copy(update={"joins": (changed(ANY_MATCH.joins[0], offset=timedelta(0)), ANY_MATCH.joins[1])})
    ordered, levels = orders((0, "a", "anna"), (9, "a", "anna")), stock((-1, "a", 1), (8, "a", 2))
    assert level(joined(problem, ordered=ordered, levels=levels)) == [1, 2]
    levels = stock((-1, "a", 1), (9, "a", 2))
    with pytest.raises(JoinError) as error:
        joined(problem, ordered=ordered, levels=levels)
    message = str(error.value)
    assert "Join with stock: 1 rows were given something observed after their prediction time" in message
    assert "order_id o1, prediction_time 2026-01-10 20:00:00+00:00, stock.observed_at 2026-01-10 21:00:00+00:00" in message
    assert "Expected offset >= prediction_lead (1:00:00)" in message


def test_late_features_are_found_in_a_finished_frame_too():
    frame = joined()
    assert late_features(PROBLEM, frame) == []
    late = frame.assign(**{"stock.observed_at": frame[PREDICTION_TIME] + pd.Timedelta(seconds=1)})
    assert late_features(PROBLEM, late) == ["stock"]


def test_data_without_time_are_joined_by_lookup_alone():
    lookup = changed(joins=(PROBLEM.joins[1],), split=p.HashedSplit(group="customer_id"), gate=p.GatePolicy(cluster="row"))
    frame = joined(with_source("orders", lookup, time=None), ordered=orders((2, "a", "bert"), (1, "b", "anna")))
    assert frame["order_id"].tolist() == ["o0", "o1"]
    assert region(frame) == ["south", "north"]
    assert PREDICTION_TIME not in frame


@settings(max_examples=60, deadline=None)
@given(
    ordered=st.lists(st.tuples(HOURS, KEYS, KEYS), max_size=7),
    levels=st.dictionaries(st.tuples(HOURS, KEYS), st.integers(0, 99), max_size=7),
    known=st.dictionaries(KEYS, st.sampled_from(["north", "south"]), max_size=3),
    offset=st.integers(1, 5),
    tolerance=st.integers(0, 10),
)
def test_joins_do_what_a_loop_over_all_pairs_does_and_lose_or_multiply_no_row(
    ordered: list[tuple[int, str | None, str | None]],
    levels: dict[tuple[int, str | None], int],
    known: dict[str | None, str],
    offset: int,
    tolerance: int,
):
    problem = with_join(0, ANY_MATCH, offset=timedelta(hours=offset), tolerance=timedelta(hours=tolerance))
    frame = joined(
        problem,
        ordered=orders(*ordered),
        levels=stock(*((hour, product, value) for (hour, product), value in levels.items())),
        known=customers(*known.items()),
    ).set_index("order_id")
    assert sorted(frame.index) == [f"o{number}" for number in range(len(ordered))]
    for number, (hour, product, customer) in enumerate(ordered):
        cutoff = hour - offset
        seen = [at for at, there in levels if there == product and product is not None and cutoff - tolerance <= at <= cutoff]
        row = frame.loc[f"o{number}"]
        expected = levels[max(seen), product] if seen else None
        assert (None if pd.isna(row["stock_level"]) else row["stock_level"]) == expected
        assert (None if pd.isna(row["region"]) else row["region"]) == (known.get(customer) if customer else None)
