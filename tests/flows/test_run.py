"""`evergreen run`, from the first deliveries to what the predictions were worth."""

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd

from evergreen.files import digest_file, read_json


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def text_of(page: str) -> str:
    """What a person reads of a page."""
    parts: list[str] = []
    parser = HTMLParser()
    parser.handle_data = parts.append
    parser.feed(page)
    return " ".join(" ".join(parts).split())


def test_the_first_round_goes_from_files_to_published_predictions_and_says_what_it_did(two_months):
    first = two_months.first
    assert (first.code, first.err) == (0, "")
    told = lines(first.out)
    assert told[0] == "toy: Which orders will be returned?"
    steps = [line.split()[0] for line in told[2:6]]
    assert steps == ["ingest", "train", "gate", "predict"]
    assert told[2].startswith("ingest 9 deliveries published")
    assert told[4].startswith("gate PROMOTE: Version 1 is promoted: it is the first model")
    assert "published by version 1" in told[5]
    assert "Traceback" not in first.out
    assert "Warning" not in first.out


def test_the_table_tells_the_costs_that_the_record_has(two_months):
    (_, _, verdict, _, money), *_ = two_months.after_first["decisions"]
    costs = {row["name"]: f"{row['cost_per_1000']:,.0f}" for row in money}
    table = lines(two_months.first.out)
    heading = table.index("data to verdict version candidate champion rule of thumb")
    assert table[heading + 1].split()[1:] == [verdict.upper(), "1", costs["candidate"], "-", costs["rule of thumb"]]
    assert f"{two_months.home.var / 'site' / 'index.html'}" in two_months.first.out


def test_running_again_says_that_nothing_is_new_without_loading_anything_slow(two_months):
    again = two_months.again
    assert again.code == 0
    assert "Nothing is new: every delivery that is complete has been judged, and every verdict carried out." in again.out
    assert lines(two_months.first.out)[-3:] == lines(again.out)[-3:]
    loaded = again.err.removeprefix("loaded:").split()
    assert not {"prefect", "mlflow", "great_expectations"} & set(loaded)


def test_the_next_month_is_compared_with_the_champion_on_the_same_rows(two_months):
    second = two_months.second
    assert (second.code, second.err) == (0, "")
    candidate, champion, verdict, _, money = two_months.home.state()["decisions"][1]
    assert (candidate, champion, verdict) == (2, 1, "promote")
    costs = {row["name"]: row["cost_per_1000"] for row in money}
    assert costs["candidate"] < costs["champion"] < costs["rule of thumb"]
    assert f"{costs['champion']:,.0f}" in lines(second.out)[-2]
    assert "gate PROMOTE: Version 2 is promoted: it is not worse than version 1 by more than the margin." in lines(second.out)


def test_outcomes_tell_what_the_predictions_before_them_saved(two_months):
    home = two_months.home
    published = home.published(0)[["order_id", "decision"]]
    orders = pd.concat(pd.read_csv(path) for path in (home.var / "landing" / "orders").iterdir()).drop_duplicates("order_id")
    outcomes = pd.concat(pd.read_csv(path) for path in (home.var / "landing" / "outcomes").iterdir()).drop_duplicates("order_id")
    rows = published.merge(orders, on="order_id").merge(outcomes, on="order_id")
    assert len(rows) == len(published)

    def cost(decision: pd.Series) -> float:
        return float((20 * (rows["returned"] & (decision == 0)) + 10 * (~rows["returned"] & (decision == 1))).sum())

    saved = cost(rows["product"] == "shoe") - cost(rows["decision"])
    assert saved > 0
    assert f"saved {saved:,.0f} EUR" in two_months.second.out
    status = home.evergreen("status")
    assert status.code == 0
    row = next(line for line in status.out.splitlines() if line.startswith("2026-03-06")).split()
    nothing = min(cost(rows["decision"] * 0), cost(rows["decision"] * 0 + 1)) - cost(rows["decision"])
    assert row[-2:] == [f"{saved:,.0f}", f"{nothing:,.0f}"]
    assert "Version 2 serves." in status.out


def test_the_pages_tell_each_verdict(two_months):
    site = two_months.home.var / "site"
    overview = (site / "index.html").read_text()
    for row in two_months.home.rows("decisions"):
        page = site / "decisions" / f"{row['decision']}.html"
        assert f"decisions/{page.name}" in overview
        told = text_of(page.read_text())
        assert row["verdict"] in told.lower()
        assert f"version {row['candidate']}" in told.lower()


def test_a_reader_who_follows_the_pointer_finds_whole_predictions_of_the_champion(two_months):
    home = two_months.home
    for number, row in enumerate(home.rows("publications")):
        pointer = read_json(home.var / "predictions" / f"dt={row['partition']}" / "current.json")
        assert digest_file(home.var / row["path"]) == pointer["sha256"] == row["content"]
        published = home.published(number)
        assert len(published) == row["row_count"] == pointer["rows"]
        assert published["order_id"].is_unique
        assert published["probability"].between(0, 1).all()
        np.testing.assert_array_equal(published["decision"], published["probability"] >= 1 / 3)
        assert set(published["model_version"]) == {number + 1}


def test_what_mlflow_shows_is_what_the_journal_says(two_months):
    state = two_months.home.state()
    assert state["in MLflow"] == {"champion": 2, "previous": 1, "anchor": 1}
    assert state["versions in MLflow"] == [1, 2] == [number for number, *_ in state["versions"]]
    assert state["champion"] == 2
    assert len(state["spent"]) == len(state["decisions"]) == 2


def test_each_version_in_mlflow_has_its_verdict_what_made_it_and_the_whole_record(two_months):
    from mlflow import MlflowClient

    home = two_months.home
    client = MlflowClient(f"sqlite:///{home.var / 'mlflow.db'}", f"sqlite:///{home.var / 'mlflow.db'}")
    site = home.var / "site" / "decisions"
    for row, version in zip(home.rows("decisions"), home.rows("versions"), strict=True):
        record, facts = json.loads(row["record"]), json.loads(version["facts"])
        found = client.get_model_version("toy", str(version["version"]))
        wanted = {"verdict": row["verdict"], "decision": row["decision"], "snapshot": row["snapshot"], "commit": facts["commit"]}
        assert {name: found.tags[name] for name in wanted} == wanted
        assert {name: found.tags[name] for name in ("contract", "code", "lock")}.items() <= facts["provenance"].items()
        run = client.get_run(found.run_id)
        kept = Path(run.info.artifact_uri.removeprefix("file://")) / "decision"
        names = [f"{row['decision']}.html", f"{row['decision']}.json"]
        assert sorted(file.name for file in kept.iterdir()) == names
        assert [(kept / name).read_bytes() for name in names] == [(site / name).read_bytes() for name in names]
        assert read_json(kept / names[1]) == record
        assert run.data.params["seed"] == str(facts["parameters"]["seed"])
        assert run.data.params["logisticregression__C"] == "1.0"
        assert run.data.metrics["holdout_cost_per_1000"] == record["money"][0]["cost_per_1000"]
        assert run.data.metrics["holdout_roc_auc"] == record["metrics"]["candidate"]["roc_auc"]
