"""What a person finds in Prefect's UI, asked from its API as the UI asks it."""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import httpx
import pytest
from waiting import PATIENCE


def ask(what: str, **wanted: Any) -> list[dict[str, Any]]:
    """What the server that the tests' commands report to has of that kind."""
    answer = httpx.post(f"{os.environ['PREFECT_API_URL']}/{what}/filter", json=wanted, timeout=PATIENCE)
    answer.raise_for_status()
    return answer.json()


def artifacts(run: str) -> dict[str, dict[str, Any]]:
    """The artifacts of a flow's run, by key."""
    found = ask("artifacts", artifacts={"flow_run_id": {"any_": [run]}})
    assert len({one["key"] for one in found}) == len(found)
    return {one["key"]: one for one in found}


@pytest.fixture(scope="module")
def shown(two_months) -> dict[str, dict[str, Any]]:
    """The artifacts of the second round, from whichever of its flows they are."""
    decision = two_months.home.rows("decisions")[1]["decision"]
    (link,) = [one for one in ask("artifacts", artifacts={"key": {"any_": ["decision"]}}) if decision in one["data"]]
    (training,) = ask("flow_runs", flow_runs={"id": {"any_": [link["flow_run_id"]]}})
    (task,) = ask("task_runs", task_runs={"id": {"any_": [training["parent_task_run_id"]]}})
    children = ask("flow_runs", flow_runs={"parent_flow_run_id": {"any_": [task["flow_run_id"]]}})
    return {key: one for child in children for key, one in artifacts(child["id"]).items()}


def test_a_round_leaves_its_deliveries_verdict_link_and_predictions(shown):
    assert {key: one["type"] for key, one in shown.items()} == {
        **{"deliveries": "table", "verdict": "markdown", "decision": "markdown", "predictions": "markdown"},
    }


def test_the_verdict_is_told_with_its_headline_and_every_reason(two_months, shown):
    record = json.loads(two_months.home.rows("decisions")[1]["record"])
    text = shown["verdict"]["data"]
    assert text.splitlines()[0] == "# PROMOTE"
    assert shown["verdict"]["description"] == record["headline"]
    assert record["headline"] in text.splitlines()
    assert record["why"]
    assert {f"- {reason}" for reason in record["why"]} <= set(text.splitlines())


def test_the_table_has_every_delivery_of_the_round_with_what_became_of_it(two_months, shown):
    table = json.loads(shown["deliveries"]["data"])
    rounds = [row for row in two_months.home.rows("deliveries") if row["seq"] > len(two_months.after_first["deliveries"])]
    wanted = {(row["source"], row["name"], row["outcome"], row["row_count"]) for row in rounds}
    assert {(row["source"], row["name"], row["outcome"], row["rows"]) for row in table} == wanted
    assert len(table) == len(rounds) > 0


def test_the_link_opens_the_page_of_the_decision(two_months, shown):
    decision = two_months.home.rows("decisions")[1]["decision"]
    text, _, address = shown["decision"]["data"].removesuffix(")").partition("](")
    assert text == "[The decision on one page"
    assert urlparse(address).scheme == "file"
    page = Path(unquote(urlparse(address).path))
    assert page == two_months.home.var / "site" / "decisions" / f"{decision}.html"
    assert "PROMOTE" in page.read_text()
    assert decision in shown["decision"]["description"]
