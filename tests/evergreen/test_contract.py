import importlib
import os
import subprocess
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from toy.contract import PROBLEM
from workspaces import changed, with_join, with_source

from evergreen import policies as p
from evergreen.contract import Problem
from evergreen.errors import ContractError
from evergreen.parts import MOST_SEED

VALUES = dict(PROBLEM)
SAYS_ITS_DIGEST = "from toy.contract import PROBLEM; print(PROBLEM.digest())"


def cost(rows: pd.DataFrame, y_true: np.ndarray, decision: np.ndarray) -> np.ndarray:
    return np.abs(y_true - decision)


def refusal(**values: object) -> str:
    with pytest.raises(ContractError) as error:
        changed(**values)
    return str(error.value)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module with a reader, in a file that a test may change."""
    (tmp_path / "someones_reader.py").write_text(
        "import pandas as pd\n\n\ndef read(path, sep=','):\n    return pd.read_csv(path, sep=sep)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield importlib.import_module("someones_reader")
    del sys.modules["someones_reader"]


def test_a_misspelt_field_is_named():
    message = refusal(prediction_laed=timedelta(hours=1))
    assert "prediction_laed: got datetime.timedelta(seconds=3600)" in message
    assert "no such field; is it misspelt?" in message


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("features", {"features": ("amount", "decision")}),
        ("features", {"features": ("amount", "probability_of_rain")}),
        ("serving.carry", {"serving": p.ServingPolicy(carry=("region", "model_version"))}),
        ("serving.carry", {"serving": p.ServingPolicy(carry=("snapshot",))}),
        ("serving.carry", {"serving": p.ServingPolicy(carry=("decision",))}),
        ("slices", {"slices": ("probability",)}),
        (
            "sources.orders.key",
            {"sources": tuple(changed(one, key=("snapshot",)) if one.name == "orders" else one for one in PROBLEM.sources)},
        ),
        ("target.name", {"target": changed(PROBLEM.target, name="decision")}),
    ],
)
def test_a_column_with_the_name_of_one_of_the_predictions_is_refused_before_anything_is_fitted(field: str, values: dict[str, object]):
    assert f"{field}: " in (message := refusal(**values))
    assert "has the name of a column of the predictions. Rename it in your reader." in message


def test_a_feature_may_have_the_name_that_only_published_rows_have():
    assert changed(features=("amount", "snapshot")).features == ("amount", "snapshot")


@pytest.mark.parametrize("seed", [-1, 20261127123456, 2**32 - 1])
def test_a_seed_has_room_for_those_that_are_tried_beside_it(seed: int):
    with pytest.raises(ContractError, match=rf"seed: got {seed}; expected: input should be"):
        p.RetrainingPolicy(seed=seed)
    most = p.RetrainingPolicy(seed=MOST_SEED).seed + 20
    assert np.random.RandomState(most).random() < 1


def test_a_missing_field_is_named():
    with pytest.raises(ContractError, match=r"\n  - features: is missing\."):
        Problem(**{name: value for name, value in VALUES.items() if name != "features"})


@pytest.mark.parametrize(
    ("field", "value", "got", "expected"),
    [
        ("prediction_lead", 3600, "3600", "timedelta"),
        ("features", "amount", "'amount'", "tuple"),
        ("task", "ranking", "'ranking'", "'binary', 'multiclass' or 'regression'"),
        ("name", "My Problem", "'My Problem'", "pattern"),
        ("things", "", "''", "at least 3 characters"),
        ("build_estimator", "features.build", "'features.build'", "callable"),
        ("split", 30, "30", "ForwardSplit"),
    ],
)
def test_a_wrong_type_or_value_is_named_with_what_was_got_and_expected(field: str, value: object, got: str, expected: str):
    message = refusal(**{field: value})
    assert f"  - {field}" in message
    assert f"got {got}; expected: " in message
    assert expected in message


def test_all_wrong_fields_are_told_at_once():
    message = refusal(prediction_lead=3600, task="ranking", owner="me")
    assert message.startswith("The contract is wrong, in the Problem 'toy':")
    assert {line.split(":")[0] for line in message.splitlines()[1:]} == {"  - prediction_lead", "  - task", "  - owner"}


@pytest.mark.parametrize(("field", "value"), [("holdout_days", "30"), ("holdout_days", 30.0), ("holdout_days", 0), ("holdout_dyas", 30)])
def test_a_part_is_as_strict_as_the_whole_and_says_so_the_same_way(field: str, value: object):
    with pytest.raises(ContractError, match=rf"{field}: got .*{value!r}.*; expected: "):
        p.ForwardSplit(**{field: value})


@pytest.mark.parametrize(
    ("part", "values", "told"),
    [
        (PROBLEM.source("stock"), {"rows": (1,)}, "in the Source 'stock':\n  - rows.1: is missing."),
        (PROBLEM.joins[0], {"min_match": 2.0}, "in the AsOfJoin 'stock':\n  - min_match: got 2.0; expected: "),
        (PROBLEM.target, {"meaning": ""}, "in the Target 'returned':\n  - meaning: got ''; expected: "),
        (PROBLEM.split, {"holdout_days": 0}, "in ForwardSplit:\n  - holdout_days: got 0; expected: "),
    ],
)
def test_a_wrong_part_is_told_with_its_own_name_where_it_has_one(part: p.Part, values: dict[str, object], told: str):
    with pytest.raises(ContractError) as error:
        changed(part, **values)
    assert str(error.value).startswith(f"The contract is wrong, {told}")


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (PROBLEM, "prediction_lead"),
        (PROBLEM.target, "label_delay"),
        (PROBLEM.split, "feature_lookback"),
        (PROBLEM.joins[0], "tolerance"),
        (PROBLEM.source("stock"), "max_age"),
    ],
)
def test_a_negative_length_of_time_is_refused(part: p.Part, field: str):
    with pytest.raises(ContractError, match=rf"  - {field}: got datetime\.timedelta\(days=-1\); expected: .*greater than or equal to 0"):
        changed(part, **{field: timedelta(days=-1)})
    assert getattr(changed(part, **{field: timedelta(0)}), field) == timedelta(0)


@pytest.mark.parametrize(
    ("part", "field", "columns"),
    [
        (PROBLEM, "features", ("amount", "product", "amount")),
        (PROBLEM, "slices", ("amount", "amount")),
        (PROBLEM, "forbidden", ("amount", "amount")),
        (PROBLEM.source("stock"), "key", ("amount", "amount")),
        (PROBLEM.joins[1], "take", ("amount", "amount")),
        (PROBLEM.serving, "carry", ("amount", "amount")),
    ],
)
def test_a_column_listed_twice_is_refused(part: p.Part, field: str, columns: tuple[str, ...]):
    with pytest.raises(ContractError) as error:
        changed(part, **{field: columns})
    assert f"  - {field}: got {columns!r}; expected: each column once; listed twice: amount." in str(error.value)


def test_a_contract_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        PROBLEM.name = "another"


def test_a_source_declared_twice_is_refused():
    assert "sources: 'stock' is declared twice" in refusal(sources=(*PROBLEM.sources, PROBLEM.source("stock")))


def test_an_entity_that_is_no_source_is_refused_with_those_there_are():
    assert "entity: got 'order'; expected one of the sources orders, stock, customers, outcomes." in refusal(entity="order")


def test_a_target_from_no_source_is_refused():
    target = changed(PROBLEM.target, source="results")
    assert "target.source: got 'results'; expected one of the sources orders, stock" in refusal(target=target)


def test_a_join_with_no_source_is_refused():
    with pytest.raises(ContractError, match=r"joins\.1\.source: got 'clients'; expected one of the sources orders, stock"):
        with_join(1, source="clients")


def test_an_entity_with_a_key_of_two_columns_is_refused():
    with pytest.raises(ContractError, match=r"sources\.orders\.key: got \('order_id', 'product'\); expected one column"):
        with_source("orders", key=("order_id", "product"))


def test_outcomes_with_a_key_of_two_columns_are_refused():
    with pytest.raises(ContractError, match=r"sources\.outcomes\.key: got \('order_id', 'ordered_at'\); expected one column"):
        with_source("outcomes", key=("order_id", "ordered_at"))


def test_a_forward_split_without_time_is_refused():
    with pytest.raises(ContractError, match="split: got ForwardSplit, but the entity source 'orders' has no time"):
        with_source("orders", time=None)


def test_an_as_of_join_for_an_entity_without_time_is_refused():
    sources = tuple(changed(s, time=None) if s.name == "orders" else s for s in PROBLEM.sources)
    message = refusal(sources=sources, split=p.HashedSplit(group="customer_id"))
    assert "joins.0" in message
    assert "'orders'" in message
    assert "time" in message


@pytest.mark.parametrize(("feature", "what"), [("returned", "the target itself"), ("refunded_at", "forbidden")])
def test_a_feature_that_knows_the_answer_is_refused(feature: str, what: str):
    message = refusal(features=("amount", feature), forbidden=("refunded_at",))
    assert f"features: '{feature}' is {what}; a model that is given it knows the answer." in message


def test_binary_costs_for_another_task_are_refused():
    assert "business.row_cost: got BinaryCosts for a regression task" in refusal(task="regression")
    assert changed(task="regression", business=changed(PROBLEM.business, row_cost=cost)).task == "regression"


def test_an_as_of_join_that_sees_what_comes_after_the_prediction_is_refused():
    with pytest.raises(ContractError, match=r"joins\.0\.offset: got 0:59:59 for 'stock'; expected at least prediction_lead, 1:00:00: what"):
        with_join(0, offset=timedelta(minutes=59, seconds=59))
    with pytest.raises(ContractError, match=r"joins\.0\.offset: got 1:00:00 for 'stock'; expected at least prediction_lead, 1 day"):
        changed(prediction_lead=timedelta(days=1))
    assert with_join(0, offset=timedelta(hours=1))


def test_joining_the_outcomes_as_features_is_refused():
    join = p.LookupJoin(source="outcomes", on={"order_id": "order_id"}, take=("returned",), min_match=0.5)
    assert "joins.0.source: 'outcomes' holds the outcomes; joined as features they tell the answer." in refusal(joins=(join,))


def test_an_as_of_join_with_a_source_without_time_is_refused():
    with pytest.raises(ContractError, match=r"joins\.0: an as-of join needs a time, and the source 'stock' declares none"):
        with_source("stock", time=None)


def test_a_lookup_in_a_source_with_time_is_refused():
    join = p.LookupJoin(source="stock", on={"product": "product"}, take=("stock_level",), min_match=0.5)
    assert "joins.0: 'stock' has a time, so a lookup could see the future; use AsOfJoin." in refusal(joins=(join,))


def test_a_join_by_less_than_the_key_is_refused():
    with pytest.raises(ContractError, match=r"joins\.1\.on: got \['region'\] of 'customers'; expected its key \['customer_id'\]"):
        with_join(1, on={"customer_id": "region"})
    with pytest.raises(ContractError, match=r"joins\.0\.on: got \['observed_at', 'stock_level'\] of 'stock'"):
        with_join(0, on={"product": "stock_level"})


def test_an_unknown_source_is_told_with_those_there_are():
    with pytest.raises(ContractError, match=r"Unknown source 'weather'; the contract has orders, stock, customers, outcomes\."):
        PROBLEM.source("weather")


def test_the_embargo_is_the_label_delay_and_how_far_features_look_back():
    assert changed(split=p.ForwardSplit(feature_lookback=timedelta(days=3))).embargo == timedelta(days=4)
    assert changed(split=p.HashedSplit(group="customer_id")).embargo == timedelta(days=1)


def test_an_equal_contract_has_the_same_digest_in_another_process():
    assert changed().digest() == PROBLEM.digest()
    environment = {**os.environ, "PYTHONHASHSEED": "5", "PYTHONPATH": str(Path(__file__).parents[1])}
    said = subprocess.run([sys.executable, "-c", SAYS_ITS_DIGEST], capture_output=True, text=True, check=True, env=environment)
    assert said.stdout.strip() == PROBLEM.digest()


@pytest.mark.parametrize(
    "values",
    [
        {"name": "another"},
        {"prediction_lead": timedelta(minutes=59)},
        {"features": ("amount", "product", "stock_level")},
        {"business": changed(PROBLEM.business, row_cost=p.BinaryCosts(missed=20.5, false_alarm=10.0))},
        {"build_estimator": cost},
        {"joins": PROBLEM.joins[:1]},
        {"gate": p.GatePolicy(margin=1.0)},
    ],
)
def test_another_value_gives_another_digest(values: dict[str, object]):
    assert changed(**values).digest() != PROBLEM.digest()


def test_the_digest_follows_the_bytes_of_the_files_that_functions_stand_in(reader: ModuleType):
    problem, file = with_source("orders", read=reader.read), Path(reader.__file__)
    before, text = problem.digest(), file.read_text()
    os.utime(file, (0, 0))
    assert problem.digest() == before
    file.write_text(text + "# later\n")
    assert problem.digest() != before
    file.write_text(text)
    assert problem.digest() == before


def test_a_reader_with_arguments_has_a_digest_of_its_content_not_of_its_place_in_memory(reader: ModuleType):
    def digest(sep: str) -> str:
        return with_source("orders", read=partial(reader.read, sep=sep)).digest()

    before, elsewhere = digest(";"), reader.read
    importlib.reload(reader)
    assert reader.read is not elsewhere
    assert digest(";") == before
    assert digest("|") != before
    Path(reader.__file__).write_text("def read(path, sep):\n    return None\n")
    assert digest(";") != before


def test_a_contract_without_sources_is_told_that_it_has_none():
    with pytest.raises(ContractError) as error:
        Problem(**{**dict(PROBLEM), "sources": ()})
    assert [line for line in str(error.value).splitlines() if line.startswith("  - ")] == [
        "  - sources: got none; expected a Source for each kind of delivery, those of `entity` and `target` among them."
    ]
