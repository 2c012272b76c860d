import numpy as np
import pandas as pd
import pytest
import workspaces
from toy import data
from workspaces import changed, deliver, deliver_days, ingest

from evergreen import journal as tables
from evergreen.data.landing import batch_path
from evergreen.data.snapshots import Frame, Snapshot, build_frame, clusters, content_digest, row_fingerprints, take_snapshot
from evergreen.data.targets import with_target
from evergreen.errors import ContractError, DataError, EvergreenError, StoreError
from evergreen.workspace import Workspace


def snap(space: Workspace) -> Snapshot:
    return take_snapshot(space.journal, space.problem)


def build(space: Workspace) -> Frame:
    return build_frame(space.settings.root, snap(space), space.problem)


def toy_outcomes(days: range) -> pd.DataFrame:
    return pd.concat([data.day_of_orders(day) for day in days])[["order_id", "ordered_at", "returned"]]


def test_the_frame_has_every_order_with_its_features_and_its_outcome(space: Workspace):
    frame = build(space)
    truth = pd.concat([data.day_of_orders(day) for day in range(6)]).set_index("order_id")
    rows = frame.rows.set_index("order_id")
    assert sorted(rows.index) == sorted(truth.index)
    assert (rows["returned"] == truth["returned"].loc[rows.index].astype(int)).all()
    assert (rows["stock_level"] == [data.stock_level(int(key[1:5]), p) for key, p in rows["product"].items()]).all()
    assert frame.rows["ordered_at"].is_monotonic_increasing
    assert [report.source for report in frame.joins] == ["stock", "customers"]
    assert (frame.orphans, frame.replaced) == (0, {"orders": 0, "stock": 0, "customers": 0, "outcomes": 0})


def test_the_same_batches_are_the_same_snapshot_and_are_journalled_once(space: Workspace):
    assert snap(space) == snap(space)
    deliver_days(space, 1, start=6)
    before = snap(space)
    ingest(space)
    assert snap(space).id != before.id
    assert [row["snapshot"] for row in space.journal.rows(tables.snapshots)] == [before.id, snap(space).id]


def test_nothing_new_builds_nothing_anew(space: Workspace):
    assert build(space) is build(space)


def test_a_corrected_file_takes_the_place_of_the_one_before(space: Workspace):
    before = build(space)
    orders = pd.read_csv(space.settings.landing / "orders" / "orders-0000-0005.csv")
    deliver(space, "orders", "orders-0000-0005.csv", orders.assign(amount=1000))
    ingest(space)
    assert (build(space).rows["amount"] == 1000).all()
    assert len(build(space).rows) == len(before.rows)
    assert build(space).replaced["orders"] == 0


def test_a_row_that_comes_again_replaces_the_earlier_one_and_is_counted(space: Workspace):
    orders = pd.read_csv(space.settings.landing / "orders" / "orders-0000-0005.csv").head(3)
    deliver(space, "orders", "corrections.csv", orders.assign(amount=1000))
    ingest(space)
    frame = build(space)
    assert frame.rows.loc[frame.rows["amount"] == 1000, "order_id"].tolist() == orders["order_id"].tolist()
    assert frame.replaced == {"orders": 3, "stock": 0, "customers": 0, "outcomes": 0}


def test_deliveries_out_of_order_give_the_same_frame(empty_space: Workspace, tmp_path):
    other = workspaces.open_space(tmp_path / "other")
    for where, starts in ((empty_space, (0, 2)), (other, (2, 0))):
        for start in starts:
            deliver_days(where, 2, start=start)
            ingest(where)
    assert snap(empty_space).id != snap(other).id
    pd.testing.assert_frame_equal(build(empty_space).rows, build(other).rows)
    assert content_digest(build(empty_space).rows) == content_digest(build(other).rows)
    other.journal.close()


def test_a_source_that_never_came_is_named(empty_space: Workspace):
    deliver_days(empty_space, 2, without=("stock", "outcomes"))
    ingest(empty_space)
    with pytest.raises(DataError, match=r"Nothing has been published yet of stock, outcomes\. Deliver files .*evergreen ingest"):
        snap(empty_space)


def test_outcomes_of_unknown_orders_are_counted_and_add_no_row(space: Workspace):
    before = len(build(space).rows)
    deliver(space, "outcomes", "outcomes-0006-0006.csv", toy_outcomes(range(6, 7)))
    ingest(space)
    assert build(space).orphans == len(data.day_of_orders(6))
    assert len(build(space).rows) == before


def test_the_rows_still_to_be_decided_are_those_later_than_the_newest_outcome(space: Workspace):
    assert build(space).still_open.empty
    known = toy_outcomes(range(6)).iloc[5:]  # five old orders whose outcome never came
    deliver(space, "outcomes", "outcomes-0000-0005.csv", known)
    deliver_days(space, 1, start=6, without=("outcomes",))
    ingest(space)
    frame = build(space)
    assert len(frame.labelled) == len(known)
    assert set(frame.still_open["order_id"]) == set(data.day_of_orders(6)["order_id"])


def test_a_few_early_outcomes_neither_close_a_day_nor_stand_for_it(space: Workspace):
    before = build(space)
    deliver_days(space, 1, start=6, without=("outcomes",))
    deliver(space, "outcomes", "early.csv", toy_outcomes(range(6, 7)).tail(2))
    ingest(space)
    frame = build(space)
    assert set(frame.labelled["order_id"]) == set(before.labelled["order_id"])
    assert len(frame.still_open) == len(data.day_of_orders(6)) - 2


def test_once_half_of_a_day_is_known_it_counts(space: Workspace):
    deliver_days(space, 1, start=6, without=("outcomes",))
    day = toy_outcomes(range(6, 7))
    deliver(space, "outcomes", "most.csv", day.head(int(0.9 * len(day))))
    ingest(space)
    assert len(build(space).labelled) == sum(len(data.day_of_orders(number)) for number in range(6)) + int(0.9 * len(day))


def test_before_any_outcome_every_row_is_to_be_decided(space: Workspace):
    rows = build(space).rows.assign(returned=np.nan)
    assert len(Frame(rows, (), {}, 0, "returned", "ordered_at", None).still_open) == len(rows)


def test_a_torn_batch_is_refused(space: Workspace):
    snapshot = snap(space)
    path = batch_path(space.settings.root, "stock", snapshot.batches["stock"][0])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"batches/stock/.* is torn"):
        build(space)


def test_a_batch_that_is_gone_is_refused(space: Workspace):
    snapshot = snap(space)
    batch_path(space.settings.root, "stock", snapshot.batches["stock"][0]).unlink()
    with pytest.raises(StoreError, match=r"batches/stock/.* cannot be read \(No such file or directory\)"):
        build(space)


@pytest.mark.parametrize("field", ["features", "slices", "serving"])
def test_a_column_that_the_data_do_not_have_is_named(space: Workspace, field: str):
    value = changed(space.problem.serving, carry=("amuont",)) if field == "serving" else ("amuont",)
    with pytest.raises(
        ContractError, match=r"features, slices, carry, cluster or group: \['amuont'\] not in the data after the joins, which have order_id"
    ):
        build_frame(space.settings.root, snap(space), changed(**{field: value}))


def test_a_changed_contract_builds_another_frame_from_the_same_snapshot(space: Workspace):
    twice = changed(space.problem.target, label=lambda outcomes: 1 - outcomes["returned"].astype("int64"))
    other = build_frame(space.settings.root, snap(space), changed(target=twice))
    assert (other.rows["returned"] == 1 - build(space).rows["returned"]).all()


def test_a_label_of_the_wrong_shape_is_told(space: Workspace):
    target = changed(space.problem.target, label=lambda outcomes: outcomes["returned"].head(3))
    with pytest.raises(ContractError, match=r"target\.label: got shape \(3,\); expected one value for each of the \d+ outcomes"):
        build_frame(space.settings.root, snap(space), changed(target=target))


def test_a_target_with_the_name_of_a_column_is_told(space: Workspace):
    target = changed(space.problem.target, name="region")
    with pytest.raises(ContractError, match=r"target\.name: .*region"):
        build_frame(space.settings.root, snap(space), changed(target=target))


def test_outcomes_whose_key_is_of_another_type_are_told_in_one_sentence(space: Workspace):
    rows, outcomes = build(space).rows.drop(columns="returned"), toy_outcomes(range(6))
    with pytest.raises(EvergreenError, match="order_id"):
        with_target(space.problem, rows, outcomes.assign(order_id=np.arange(len(outcomes))))


def test_a_frames_digest_changes_with_any_value_name_or_order(space: Workspace):
    rows = build(space).rows.head(20)
    digests = {
        content_digest(frame)
        for frame in (
            rows,
            rows.assign(amount=rows["amount"].where(rows.index != 7, -1)),
            rows.assign(region=rows["region"].where(rows.index != 7)),
            rows.iloc[::-1],
            rows.rename(columns={"amount": "price"}),
            rows.drop(columns="amount"),
            rows.head(19),
        )
    }
    assert len(digests) == 7
    assert content_digest(rows.reset_index(drop=True)) == content_digest(rows.set_index(np.arange(100, 120))) == content_digest(rows)


def test_a_frames_digest_tells_two_columns_apart_when_their_values_change_places():
    frame = pd.DataFrame({"a": [1, 2], "b": [2, 1]})
    assert content_digest(frame) != content_digest(frame.rename(columns={"a": "b", "b": "a"})[["a", "b"]])


def test_fingerprints_follow_the_key_whatever_the_order(space: Workspace):
    rows = build(space).rows
    prints = row_fingerprints(rows, "order_id")
    assert prints.dtype == np.uint64
    assert len(np.unique(prints)) == len(rows)
    assert (row_fingerprints(rows.iloc[::-1].assign(amount=0), "order_id")[::-1] == prints).all()


def test_clusters_are_days_rows_or_a_column(space: Workspace):
    rows = build(space).rows
    by_day = clusters(rows, "day")
    assert (by_day == rows["prediction_time"].dt.strftime("%Y-%m-%d")).all()
    assert len(np.unique(by_day)) == 6
    assert clusters(rows, "row").tolist() == list(range(len(rows)))
    assert clusters(rows, "customer_id").tolist() == rows["customer_id"].tolist()
