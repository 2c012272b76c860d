"""Following data from the command line: lineage, and a batch that a person takes back and gives back."""

import json
import signal
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import arming
import commands
import pytest
from commands import Home, told

DAYS = 90


def today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


@pytest.fixture(scope="module")
def serving(_server: None, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which version 1 serves, has learnt from three deliveries of each source, and its predictions are published."""
    home = commands.make_home(tmp_path_factory.mktemp("serving"))
    home.deliver(DAYS)
    first = home.evergreen("run")
    assert (first.code, first.err) == (0, "")
    assert [row["version"] for row in home.rows("promotions") if row["state"] == "done"] == [1]
    return home


def batch_of(home: Home, start: int = 0) -> str:
    return next(row["batch"] for row in home.rows("deliveries") if row["name"] == f"orders-{start:04d}-{start + 29:04d}.csv")


def tags(home: Home) -> dict[str, str]:
    """MLflow's tag by version."""
    return {str(row["version"]): row["value"] for row in home.rows("model_version_tags", "mlflow.db") if row["key"] == "taken_back"}


def forget_the_estimate(home: Home) -> None:
    with sqlite3.connect(home.var / "journal.db") as journal:
        assert journal.execute("DELETE FROM signals WHERE kind = 'estimate'").rowcount


def test_lineage_is_told_in_both_directions(serving: Home):
    batch, (published,) = batch_of(serving), serving.rows("publications")
    shown = serving.evergreen("lineage", batch[:8])
    assert (shown.code, shown.err) == (0, "")
    lines = [line.strip() for line in shown.out.splitlines()]
    assert lines[0].startswith(f"batch {batch[:12]} of orders, ")
    assert lines[0].endswith(", counts")
    at = f"{published['partition']}: {published['row_count']:,} rows by version 1, {published['path']}, shown now"
    assert f"{at}; reached through the model and the rows" in lines
    assert lines[-3:] == ["", "Predictions over HTTP, in the log, by versions that have learnt from it", "none"]
    assert next(line for line in lines if line.startswith("version 1")) == f"version 1, {today()}, serves"

    version = serving.evergreen("lineage", "v1").out
    assert "and 7 more batches; all of them: --all" in version
    whole = serving.evergreen("lineage", "v1", "--all").out
    assert "more batches" not in whole
    assert whole.count("  batch ") == 12
    machines = json.loads(serving.evergreen("lineage", published["partition"], "--json").out)
    assert machines["focus"] == ["publication", published["publication"]]
    told(serving.evergreen("lineage", "abcxyz"), "Got 'abcxyz', which names nothing here; expected a version (3 or v3)")


def test_a_batch_is_taken_back_and_given_back(serving: Home, tmp_path: Path):
    """One story: taken back by a command that is killed before MLflow shows it, learnt without, given back."""
    batch = batch_of(serving)
    told(serving.evergreen("batch", "revoke", "abcdef", "--reason", "wrong"), "Got 'abcdef', which names no published batch")
    told(serving.evergreen("batch", "list", "nothing"), "There is no source 'nothing' in the contract; there are orders, stock")
    assert "was not taken back. Nothing was recorded." in serving.evergreen("batch", "restore", batch, "--reason", "sorry").out

    revoke = ("batch", "revoke", batch[:6], "--reason", "wrong currency", "--by", "Ada")
    armed = {arming.TRACE: str(tmp_path / "trace"), arming.POINT: "after revocations"}
    assert serving.evergreen(*revoke, **armed).code == -signal.SIGKILL
    assert [(row["batch"], row["person"], row["revoked"]) for row in serving.rows("revocations")] == [(batch, "Ada", 1)]
    assert tags(serving) == {}
    word = f"batch {batch[:12]} of orders, which was taken back by Ada on {today()}: wrong currency"
    notice = f"Version 1 serves, and has learnt from {word}; the next training does without it."
    assert notice in serving.evergreen("status").out

    explained = serving.evergreen("retrain", "--explain")
    assert f"data      retrain, data: the version that serves has learnt from {word}" in explained.out
    went = serving.evergreen("retrain")
    assert (went.code, went.err) == (0, "")
    assert tags(serving) == {"1": word}
    page = (serving.var / "site" / "index.html").read_text()
    assert f"Version 1 has learnt from {word}." in page
    assert page.count('<span class="bad-text">taken back</span>') == 1  # the decision; what is published now rests on version 2
    assert [row["version"] for row in serving.rows("versions")] == [1, 2]
    snapshots = {row["snapshot"]: row["batches"] for row in serving.rows("snapshots")}
    assert [batch in snapshots[row["snapshot"]] for row in serving.rows("versions")] == [True, False]

    again = serving.evergreen(*revoke)
    assert (again.code, again.err) == (0, "")
    assert f"was taken back by Ada on {today()}: wrong currency. Nothing was recorded." in again.out
    assert len(serving.rows("revocations")) == 1
    listed = serving.evergreen("batch", "list", "orders").out
    assert f"orders/orders-0000-0029.csv  was taken back by Ada on {today()}: wrong currency" in listed
    assert "orders/orders-0030-0059.csv  counts" in listed
    assert "version 1, " in (traced := serving.evergreen("lineage", batch[:6]).out)
    assert ", has learnt from 1 batch that a person has taken back" in traced

    if [row["version"] for row in serving.rows("promotions")][-1] == 1:
        assert serving.evergreen("promote", "2", "--reason", "without it", "--by", "Ada").code == 0
    assert notice not in serving.evergreen("status").out
    back = serving.evergreen("rollback", "--reason", "it is worse", "--by", "Ada")
    assert (back.code, back.err) == (0, "")
    assert f"Mind that it has learnt from {word}." in back.out

    restored = serving.evergreen("batch", "restore", batch[:6], "--reason", "it was right", "--by", "Grace")
    assert (restored.code, restored.err) == (0, "")
    assert "counts again. The next training learns from it: evergreen run" in restored.out
    assert tags(serving) == {}
    assert "has learnt from" not in serving.evergreen("status").out
    history = serving.evergreen("history").out
    assert f"taken back batch {batch[:12]} by Ada: wrong currency" in history
    assert f"given back batch {batch[:12]} by Grace: it was right" in history


def test_a_source_without_a_batch_left_is_told_by_every_command(serving: Home):
    (row,) = [row for row in serving.rows("deliveries") if row["source"] == "customers"]
    gone = serving.evergreen("batch", "revoke", row["batch"][:10], "--reason", "test data", "--by", "Ada")
    why = f"Nothing counts of customers any more: the batch {row['batch'][:12]} was taken back by Ada on {today()}: test data. Deliver a "
    assert why in gone.out
    told(serving.evergreen("run"), why)
    told(serving.evergreen("train"), why)
    assert why in serving.evergreen("status").out
    for command in ("retrain", "predict"):
        ended = serving.evergreen(command)
        assert (ended.code, ended.err) == (0, "")
    assert why in serving.evergreen("retrain").out
    assert serving.evergreen("batch", "restore", row["batch"], "--reason", "no test", "--by", "Ada").code == 0
    assert serving.evergreen("run").code == 0


def test_without_a_batch_that_others_are_joined_with_everything_tells_the_two_ways_out(serving: Home):
    batch = next(row["batch"] for row in serving.rows("deliveries") if row["name"].startswith("stock-0000"))
    shown, shown_before = (serving.var / "site" / "index.html").read_text(), len(serving.rows("publications"))
    gone = serving.evergreen("batch", "revoke", batch, "--reason", "wrong unit", "--by", "Ada")
    why = f"The batch {batch[:12]} (stock/stock-0000-0029.csv) was taken back by Ada on {today()}: wrong unit. If its rows"
    assert (gone.code, gone.err) == (0, "")
    assert f"No model can be trained now: nothing can be joined: {why}" in gone.out
    told(serving.evergreen("retrain"), why)
    for command in ("status", "site", "performance"):
        ended = serving.evergreen(command)
        assert (ended.code, ended.err) == (0, "")
        assert why in ended.out
    assert "data      skip, failed" in serving.evergreen("retrain", "--explain").out
    forget_the_estimate(serving)  # as if that round had been killed before it, or had found nothing to judge it by
    second = serving.evergreen("retrain")  # the round that failed is gone to its end, and predicts nothing
    assert (second.code, second.err) == (0, "")
    assert f"predict nothing: {why}" in " ".join(second.out.split())
    stops = f"data No model is trained and nothing is predicted until the data go together again: nothing can be joined: {why}"
    for command, quiet in (("retrain", "Nothing asks for a round."), ("run", "Nothing is new: ")):
        ended = serving.evergreen(command)
        assert (ended.code, quiet in ended.out, stops in " ".join(ended.out.split())) == (0, True, True), ended
    assert len(serving.rows("publications")) == shown_before
    page = (serving.var / "site" / "index.html").read_text()
    assert "No model is trained and nothing is predicted until the data go together again: nothing can be joined" in page
    assert "What predictions were worth cannot be told while the data do not go together." in page
    assert "stock is not well" in page
    assert json.loads(serving.evergreen("performance", "--json").out)["windows"]

    assert serving.evergreen("batch", "restore", batch, "--reason", "the unit is right", "--by", "Ada").code == 0
    assert why not in serving.evergreen("status").out
    again = (serving.var / "site" / "index.html").read_text()
    assert "until the data go together again" not in again
    assert again.count('<th scope="row">') == shown.count('<th scope="row">')


def test_a_delivery_that_never_came_is_told_as_soon_as_the_others_are_judged(home: Home):
    home.deliver(DAYS)
    assert home.evergreen("run").code == 0
    home.deliver(DAYS + 60, start=DAYS)
    for path in (home.var / "landing" / "stock").glob(f"stock-{DAYS:04d}*"):
        path.unlink()
    judged = home.evergreen("ingest")
    assert (judged.code, judged.err) == (0, "")
    assert "stock: nothing can be joined: Join with stock: " in judged.out
    assert "Is a delivery of stock missing?" in judged.out
    assert "stock is not well" in (home.var / "site" / "index.html").read_text()
