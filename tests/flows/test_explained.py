"""What people see of predictions over HTTP: how one came about, what they were worth, and that old ones go."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO

import pandas as pd
import pytest
from candidates import toy_rows
from commands import Home, told
from logged import put
from rich.console import Console
from toy.contract import PROBLEM

from evergreen import shadows
from evergreen.explaining import Explained
from evergreen.journal import Journal
from flows import account, explained

BEFORE = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)


@contextmanager
def journal_of(home: Home) -> Iterator[Journal]:
    journal = Journal(f"sqlite:///{home.var / 'journal.db'}")
    yield journal
    journal.close()


@pytest.fixture
def emptied(two_months) -> Iterator[Home]:
    """The home of two rounds, with whatever a test logs or has removed taken back after it."""
    yield two_months.home
    with closing(sqlite3.connect(two_months.home.var / "journal.db")) as connection, connection:
        connection.execute("DELETE FROM served")
        connection.execute("DELETE FROM shadows")
        connection.execute("DELETE FROM removals WHERE kind = 'served'")


def serve(home: Home, *, off: float = 0.0) -> tuple[str, dict]:
    """Log what the champion has published for a row as if it had been served; the id, and what was published."""
    published = home.published()
    row = published.iloc[0]
    day = int(row["order_id"][1:5])
    X = toy_rows(range(day, day + 1)).set_index("order_id").loc[[row["order_id"]], list(PROBLEM.features)]
    said = pd.DataFrame({"decision": [row["decision"]], "probability": [row["probability"] + off]})
    with journal_of(home) as journal:
        version = int(row["model_version"])
        (name,) = put(journal, X.reset_index(drop=True), said, entities=[row["order_id"]], asked=BEFORE, version=version)
    return name, row.to_dict()


def test_a_served_prediction_is_explained_from_the_inputs_to_the_decision(emptied: Home):
    name, row = serve(emptied)
    said = emptied.evergreen("explain-prediction", name)
    assert (said.code, said.err) == (0, "")
    assert f"Prediction {name} for {row['order_id']} by version {row['model_version']}, asked 2026-01-05T06:00:00 UTC" in said.out
    order = ["Inputs: 3 columns", "Step 1: functiontransformer (FunctionTransformer): 4 columns", "Step 2: columntransformer", "Answer"]
    places = [said.out.index(words) for words in order]
    assert places == sorted(places)
    assert re.search(r"\n *load +\S+ +new\n", said.out)
    assert f"{row['probability']:.10g} by LogisticRegression" in said.out
    side = "at least" if row["probability"] >= 1 / 3 else "below"
    assert f"{row['decision']}: the probability is {side} the threshold, 0.3333333333" in said.out
    assert "the version gives the same answer, to 1e-9" in said.out
    assert "differs" not in said.out


def test_an_answer_that_does_not_come_out_again_is_told_with_exit_code_1(emptied: Home):
    name, _ = serve(emptied, off=1e-6)
    said = emptied.evergreen("explain-prediction", name)
    assert (said.code, said.err) == (1, "")
    assert "differs   The version gives another answer than was logged: probability was" in said.out
    assert "the same answer" not in said.out


def test_what_differs_is_red_and_a_wide_step_says_how_many_columns_there_are(monkeypatch: pytest.MonkeyPatch):
    way = {"threshold": None, "model": "Ridge", "stages": [{"name": "words", "kind": "Words", "columns": 5_000, "values": {"cat": 1}}]}
    one = Explained(
        "a-1", 3, None, "2026-01-05T06:00:00+00:00", {"text": "a cat"}, way, {"decision": 1.5}, {"decision": 1.25}, ("It differs.",)
    )
    paper = Console(file=StringIO(), force_terminal=True, color_system="standard", highlight=False, width=100)
    monkeypatch.setattr(account, "_console", paper)
    monkeypatch.setattr(explained, "open_workspace", lambda: None)
    monkeypatch.setattr(explained, "explain_served", lambda _, name: one)
    assert explained.tell_explained("a-1", None) is False
    assert "\x1b[31mIt differs." in paper.file.getvalue()
    assert "Step 1: words (Words): 5,000 columns; 1 of them are shown, first those that are not 0" in paper.file.getvalue()


def test_a_published_prediction_is_explained_by_its_day_and_its_key(emptied: Home):
    row, partition = emptied.published().iloc[0], emptied.rows("publications")[-1]["partition"]
    said = emptied.evergreen("explain-prediction", row["order_id"], "--published", partition)
    assert (said.code, said.err) == (0, "")
    assert f"Prediction {partition}, {row['order_id']} for {row['order_id']} by version {row['model_version']}, published" in said.out
    assert f"{row['probability']:.10g} by LogisticRegression" in said.out
    assert "the same answer, to 1e-9" in said.out


def test_what_cannot_be_explained_is_a_sentence(emptied: Home):
    told(emptied.evergreen("explain-prediction", "a-1"), "There is no prediction 'a-1' in the log. Nothing is in the log.")
    partition = emptied.rows("publications")[-1]["partition"]
    told(emptied.evergreen("explain-prediction", "o1", "--published", "2020-01-01"), "Nothing is published for '2020-01-01'", partition)
    told(emptied.evergreen("explain-prediction", "o1", "--published", partition), "There is no order_id 'o1' among the")


def test_status_tells_what_served_predictions_were_worth_only_where_some_were_served(emptied: Home):
    assert "Predictions over HTTP" not in emptied.evergreen("status").out
    order = toy_rows(range(1)).iloc[0]
    with journal_of(emptied) as journal:
        rows, right = pd.DataFrame({"amount": [1, 1]}), int(order["returned"])
        said = pd.DataFrame({"decision": [right, 0], "probability": [0.5, 0.5]})
        put(journal, rows, said, entities=[order["order_id"], None], asked=BEFORE)
    status = emptied.evergreen("status")
    assert (status.code, status.err) == (0, "")
    assert "2 are in the log; for 1 orders the last one before the outcome counts." in status.out
    assert "They cost 0 EUR per 1,000 orders; rule of thumb" in status.out
    assert "1 do not name one of the orders" in status.out


def test_status_tells_of_a_version_in_shadow_while_one_is(emptied: Home):
    assert "In shadow" not in emptied.evergreen("status").out
    with journal_of(emptied) as journal:
        shadows.begin(journal, 7, reason="A try.")
        put(journal, pd.DataFrame({"amount": [1, 1]}), pd.DataFrame({"decision": [1, 0]}), asked=BEFORE)
    status = emptied.evergreen("status")
    assert (status.code, status.err) == (0, "")
    assert "Version 7 is asked in shadow since" in status.out
    assert "Predictions served meanwhile: 2; 2 waiting." in status.out
    with journal_of(emptied) as journal:
        shadows.end(journal, reason="Seen.")
    assert "In shadow" not in emptied.evergreen("status").out


def test_a_clean_up_tells_how_many_served_predictions_would_go_and_removes_them(emptied: Home):
    with journal_of(emptied) as journal:
        put(journal, pd.DataFrame({"amount": range(3)}), pd.DataFrame({"decision": [0, 1, 0]}), asked=BEFORE - timedelta(days=900))
    dry = emptied.evergreen("clean")
    assert (dry.code, dry.err) == (0, "")
    assert re.search(r"served +3 +0\.0 +predictions over HTTP, asked long ago", dry.out)
    assert len(emptied.rows("served")) == 3
    done = emptied.evergreen("clean", "--yes")
    assert (done.code, done.err, "Removed: " in done.out) == (0, "", True)
    assert emptied.rows("served") == []
    assert (
        "removed    served 3 predictions asked until 2023-07-20T06:00:00: by evergreen clean: predictions"
        in emptied.evergreen("history").out
    )
