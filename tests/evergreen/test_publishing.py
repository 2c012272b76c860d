from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from workspaces import changed, open_space, toy_frame

from evergreen import journal as tables
from evergreen.data.joins import PREDICTION_TIME
from evergreen.data.publishing import Order, Predict, Publication, publish, read_published
from evergreen.errors import DataError, StoreError
from evergreen.files import digest_file, read_json
from evergreen.policies import ServingPolicy
from evergreen.workspace import Workspace

ROWS = toy_frame(3)
ORDER = Order(ROWS, version=4, artefact="a" * 64, snapshot="s" * 64, features=("product", "amount", "stock_level"))
PARTITION = "2026-01-05"

Change = Callable[[pd.DataFrame], pd.DataFrame]


class Model:
    """Predicts from `amount` alone; `spoil` changes what it says of all rows, `spoil_again` what it says of the sample."""

    def __init__(self, spoil: Change = lambda said: said, spoil_again: Change = lambda said: said) -> None:
        self.spoils, self.calls = [spoil, spoil_again], 0

    def __call__(self, files: list[tuple[Path, Path]]) -> None:
        for rows, out in files:
            self.predict(rows, out)

    def predict(self, rows: Path, out: Path) -> None:
        seen = pd.read_parquet(rows)
        p = seen["amount"] / 100
        said = pd.DataFrame({"order_id": seen["order_id"], "decision": (p >= 1 / 3).astype("int64"), "probability": p})
        self.spoils[self.calls % 2](said).to_parquet(out, index=False)
        self.calls += 1


def predictions(space: Workspace) -> Path:
    return space.settings.root / "predictions" / f"dt={PARTITION}"


def put(space: Workspace, order: Order = ORDER, predict: Predict | None = None, **values: Any) -> Publication:
    return publish(space.settings.root, space.journal, changed(**values), order, predict=predict or Model())


def state(space: Workspace) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in predictions(space).iterdir()}


def test_what_is_published_has_every_row_with_its_prediction_and_where_it_comes_from(empty_space: Workspace):
    publication = put(empty_space, serving=ServingPolicy(carry=("region",)))
    assert (publication.partition, publication.version, publication.rows, publication.is_new) == (PARTITION, 4, len(ROWS), True)
    found = read_published(empty_space.settings.root, PARTITION)
    assert list(found) == ["order_id", PREDICTION_TIME, "region", "decision", "probability", "model_version", "snapshot"]
    assert found["order_id"].tolist() == ROWS["order_id"].tolist()
    assert found["probability"].tolist() == (ROWS["amount"] / 100).tolist()
    assert found["decision"].tolist() == (ROWS["amount"] / 100 >= 1 / 3).astype(int).tolist()
    assert (set(found["model_version"]), set(found["snapshot"])) == ({4}, {"s" * 64})
    assert {path.name for path in predictions(empty_space).iterdir()} == {"current.json", publication.path.name}


def test_groups_of_rows_make_no_difference_to_what_is_published(empty_space: Workspace):
    whole = put(empty_space).path.read_bytes()
    put(empty_space, replace(ORDER, version=5), serving=ServingPolicy(chunk_rows=7))
    in_groups = read_published(empty_space.settings.root, PARTITION)
    (predictions(empty_space) / "whole.parquet").write_bytes(whole)
    before = pd.read_parquet(predictions(empty_space) / "whole.parquet")
    pd.testing.assert_frame_equal(in_groups.drop(columns="model_version"), before.drop(columns="model_version"))


def test_publishing_again_predicts_nothing_and_changes_no_byte(empty_space: Workspace):
    first, before = put(empty_space), state(empty_space)
    again = put(empty_space, predict=lambda *_: pytest.fail("it was predicted again"))
    assert again == replace(first, is_new=False)
    assert state(empty_space) == before
    assert len(empty_space.journal.rows(tables.publications)) == 1


@pytest.mark.parametrize(
    "order",
    [
        replace(ORDER, version=5),
        replace(ORDER, artefact="b" * 64),
        replace(ORDER, rows=ROWS.assign(amount=ROWS["amount"] + 1)),
        replace(ORDER, rows=ROWS.head(50)),
    ],
)
def test_another_model_or_other_rows_are_published_anew_and_the_pointer_moves(empty_space: Workspace, order: Order):
    first, second = put(empty_space), put(empty_space, order)
    assert second.is_new
    assert second.key != first.key
    assert read_json(predictions(empty_space) / "current.json")["publication"] == second.key
    assert first.path.is_file()


def test_a_column_that_the_model_is_not_given_makes_no_new_publication(empty_space: Workspace):
    put(empty_space)
    assert not put(empty_space, replace(ORDER, rows=ROWS.assign(returned=0), snapshot="t" * 64)).is_new


def test_after_a_rollback_the_pointer_and_the_journal_name_the_older_model_again(empty_space: Workspace):
    from evergreen.monitoring.performance import last_predictions

    put(empty_space)
    put(empty_space, replace(ORDER, version=5))
    put(empty_space)
    assert set(read_published(empty_space.settings.root, PARTITION)["model_version"]) == {4}
    assert set(last_predictions(empty_space.settings.root, empty_space.journal, empty_space.problem)["model_version"]) == {4}


def test_a_model_is_given_its_own_features_even_when_the_contract_names_others(empty_space: Workspace):
    with pytest.raises(DataError, match=r"Version 4 needs weight, which the data no longer have\. Keep them in the data"):
        put(empty_space, replace(ORDER, features=("product", "weight")))


def test_nothing_to_predict_is_told(empty_space: Workspace):
    with pytest.raises(DataError, match=r"nothing to predict: every row has its outcome\. Deliver the next rows"):
        put(empty_space, replace(ORDER, rows=ROWS.head(0)))
    assert not predictions(empty_space).exists()


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (Model(lambda said: said.assign(probability=said["probability"].where(said.index != 3))), "1 predictions are not finite numbers"),
        (Model(lambda said: said.assign(probability=float("inf"))), rf"{len(ROWS):,} predictions are not finite numbers"),
        (Model(lambda said: said.head(-1)), rf"{len(ROWS):,} rows went in, {len(ROWS) - 1:,} came out, or in another order"),
        (Model(lambda said: pd.concat([said, said.tail(1)])), rf"{len(ROWS):,} rows went in, {len(ROWS) + 1:,} came out"),
        (Model(lambda said: said.iloc[::-1]), "or in another order"),
        (Model(spoil_again=lambda said: said.assign(probability=said["probability"] + 1e-6)), "probability came out differently for"),
        (Model(spoil_again=lambda said: said.assign(decision=1 - said["decision"])), "decision came out differently for"),
        (Model(spoil_again=lambda said: said.head(-1)), "rows were predicted twice, .* came out"),
    ],
)
def test_predictions_that_fail_their_audit_are_not_published_and_the_old_ones_stay(empty_space: Workspace, model: Model, told: str):
    put(empty_space)
    before = state(empty_space)
    with pytest.raises(DataError, match=rf"failed their audit and are not published: .*{told}.*published before still is"):
        put(empty_space, replace(ORDER, version=5), predict=model)
    assert state(empty_space) == before
    assert len(empty_space.journal.rows(tables.publications)) == 1


def test_a_model_that_says_the_same_but_for_rounding_passes_the_audit(empty_space: Workspace):
    assert put(empty_space, predict=Model(spoil_again=lambda said: said.assign(probability=said["probability"] + 1e-12))).is_new


class _KilledError(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("place", ["evergreen.data.publishing.write_json", "evergreen.journal.Journal.add"])
def test_killed_before_the_pointer_or_the_journal_a_second_run_ends_the_same(
    empty_space: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
):
    def killed(*_: Any, **__: Any) -> None:
        raise _KilledError

    with monkeypatch.context() as patch:
        patch.setattr(place, killed)
        with pytest.raises(_KilledError):
            put(empty_space)
    assert put(empty_space).is_new
    untouched = open_space(tmp_path / "untouched")
    assert put(untouched).is_new
    assert state(empty_space) == state(untouched)
    rows = [[row | {"at": ""} for row in space.journal.rows(tables.publications)] for space in (empty_space, untouched)]
    assert rows[0] == rows[1]
    untouched.journal.close()


def test_a_torn_file_is_refused_when_read_and_mended_by_publishing_again(empty_space: Workspace):
    publication, before = put(empty_space), state(empty_space)
    publication.path.write_bytes(publication.path.read_bytes()[:-1])
    with pytest.raises(StoreError, match=rf"{publication.path.name} is not what was published\. Remove .*current\.json and run"):
        read_published(empty_space.settings.root, PARTITION)
    assert put(empty_space).is_new
    assert state(empty_space) == before
    assert digest_file(publication.path) == empty_space.journal.last(tables.publications)["content"]


@pytest.mark.parametrize("content", [None, "{ torn"])
def test_a_pointer_that_is_gone_or_torn_is_made_anew_by_following_its_own_advice(empty_space: Workspace, content: str | None):
    put(empty_space)
    before, pointer = state(empty_space), predictions(empty_space) / "current.json"
    pointer.unlink() if content is None else pointer.write_text(content)
    with pytest.raises(StoreError, match=r"current\.json is (missing|not JSON)"):
        read_published(empty_space.settings.root, PARTITION)
    pointer.unlink(missing_ok=True)
    put(empty_space)
    assert state(empty_space) == before


def test_a_partition_that_was_never_published_is_told(empty_space: Workspace):
    with pytest.raises(StoreError, match=r"dt=2020-01-01/current\.json is missing"):
        read_published(empty_space.settings.root, "2020-01-01")


def test_data_without_time_are_one_partition(empty_space: Workspace):
    publication = put(empty_space, replace(ORDER, rows=ROWS.drop(columns=[PREDICTION_TIME])))
    assert publication.partition == "all"
    assert len(read_published(empty_space.settings.root, "all")) == len(ROWS)


def test_publishing_changes_nothing_in_the_rows_given(empty_space: Workspace):
    before = ROWS.copy(deep=True)
    put(empty_space)
    pd.testing.assert_frame_equal(ROWS, before)
