"""Where things come from, what they fed, and whom they reached."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from logged import ASKED, put_decisions
from workspaces import deliver_days, ingest, keep, kept, open_space, train

from evergreen import journal as tables
from evergreen import revocations
from evergreen.data.publishing import Order, publish
from evergreen.data.snapshots import build_frame, take_snapshot
from evergreen.errors import RefusedError
from evergreen.journal import log
from evergreen.monitoring.lineage import Lineage, Reach, as_json, reached, trace
from evergreen.monitoring.naming import Thing, identify
from evergreen.workspace import Workspace


def predict(files: list[tuple[Path, Path]]) -> None:
    for rows, out in files:
        pd.read_parquet(rows)[["order_id"]].assign(decision=0).to_parquet(out, index=False)


def publish_now(space: Workspace, version: int, *, rows: int | None = None) -> str:
    """Publish a version's predictions for what is still open; returns the key."""
    snapshot = take_snapshot(space.journal, space.problem)
    still_open = build_frame(space.settings.root, snapshot, space.problem).still_open
    order = Order(still_open.head(rows or len(still_open)), version, f"artefact {version}", snapshot.id, tuple(space.problem.features))
    return publish(space.settings.root, space.journal, space.problem, order, predict=predict).key


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 has learnt from the first 70 days; then 5 days came that it has predicted and answered about."""
    space = open_space(tmp_path_factory.mktemp("lineage") / "home")
    deliver_days(space, 70)
    ingest(space)
    assert train(space)["verdict"] == "promote"
    deliver_days(space, 5, start=70, without=("outcomes",))
    ingest(space)
    publish_now(space, 1)
    put_decisions(space.journal, ["a", "b", "c"], [0, 1, 0])
    put_decisions(space.journal, ["d"], [0], asked=ASKED + timedelta(hours=1))
    return keep(space)


@pytest.fixture
def space(home: Path) -> Iterator[Workspace]:
    with kept(home) as found:
        yield found


def look(space: Workspace, name: str) -> tuple[Lineage, Reach]:
    found = trace(space.journal, identify(space.journal, name))
    return found, reached(space.settings.root, space.journal, found)


def batch_of(space: Workspace, source: str, start: int) -> str:
    return next(row["batch"] for row in space.journal.rows(tables.deliveries, source=source) if f"{source}-{start:04d}" in row["name"])


def kinds(edges: tuple) -> list[tuple[str, str, str]]:
    return [(edge.source.kind, edge.how, edge.target.kind) for edge in edges]


def test_a_batch_is_followed_to_its_file_and_to_everything_that_has_learnt_from_it(space: Workspace):
    found, far = look(space, batch_of(space, "orders", 0))
    assert found.facts[found.focus].items() >= {"source": "orders", "state": "counts"}.items()
    assert kinds(found.above) == [("delivery", "published as", "batch")]
    assert found.facts[found.above[0].source]["file"] == "orders-0000-0069.csv"
    assert [(edge.source.kind, edge.how, edge.target.kind) for edge in found.below if edge.target.kind != "snapshot"] == [
        ("snapshot", "learnt by", "version"),
        ("snapshot", "the rows", "publication"),
        ("version", "judged by", "decision"),
        ("version", "the model", "publication"),
    ]
    assert (far.versions, far.serves) == ((1,), 1)
    (one,) = far.published
    assert (one.version, one.through, one.is_shown) == (1, ("the model", "the rows"), True)
    assert one.rows == space.journal.last(tables.publications)["row_count"]
    assert (space.settings.root / one.path).is_file()
    (answered,) = far.served
    assert (answered.version, answered.rows, answered.since) == (1, 4, ASKED.isoformat())
    assert answered.until == (ASKED + timedelta(hours=1)).isoformat()
    assert far.sentences == [
        "Version 1 has learnt from it; version 1 serves.",
        f"1 publication rests on it; {one.rows:,} rows in 1 of them are shown now.",
        "Predictions over HTTP, in the log: 4 by version 1 since 2026-01-05T12:00:00 UTC.",
    ]


def test_a_batch_that_no_version_has_learnt_from_reaches_predictions_through_its_rows_alone(space: Workspace):
    found, far = look(space, batch_of(space, "orders", 70))
    assert (far.versions, far.serves, far.served) == ((), None, ())
    assert [one.through for one in far.published] == [("the rows",)]
    assert found.fed("decision") == []
    assert far.sentences[0] == "No version has learnt from it."


def test_what_a_version_and_its_predictions_were_made_from(space: Workspace):
    number, far = look(space, "v1")
    assert kinds(number.above)[0] == ("snapshot", "learnt by", "version")
    sources = {number.facts[edge.source]["source"] for edge in number.above if edge.source.kind == "batch"}
    assert sources == {"orders", "stock", "customers", "outcomes"}
    assert [one.through for one in far.published] == [("the model",)]
    assert look(space, "1")[0] == number

    day = space.journal.last(tables.publications)["partition"]
    published, _ = look(space, day)
    assert [how for _, how, kind in kinds(published.above) if kind == "publication"] == ["the model", "the rows"]
    assert published.below == ()

    prediction, none = look(space, space.journal.rows(tables.served)[0]["prediction"])
    assert kinds(prediction.above)[:2] == [("version", "answered by", "prediction"), ("snapshot", "learnt by", "version")]
    assert {edge.source for edge in number.above} < {edge.source for edge in prediction.above}
    assert (none.versions, none.published, none.served) == ((), (), ())


def test_of_several_publications_the_pointer_names_one(space: Workspace):
    first = space.journal.last(tables.publications)["publication"]
    second = publish_now(space, 1, rows=3)
    assert second != first
    _, far = look(space, "1")
    assert [(one.rows == 3, one.is_shown) for one in far.published] == [(False, False), (True, True)]
    pointer = space.settings.root / "predictions" / f"dt={far.published[0].partition}" / "current.json"
    pointer.write_text("{")
    assert [one.is_shown for one in look(space, "1")[1].published] == [None, None]


def test_a_delivery_that_was_refused_has_fed_nothing_and_says_why(space: Workspace):
    (space.settings.landing / "orders" / "bad.csv").write_text("order_id\n")
    ingest(space)
    found, far = look(space, "orders/bad.csv")
    assert (found.above, found.below, far.published) == ((), (), ())
    assert found.facts[found.focus]["outcome"] == "quarantined"


def test_what_was_taken_back_is_marked_with_all_that_it_reached(space: Workspace):
    batch = batch_of(space, "orders", 0)
    revocations.revoke(space.journal, batch, root=space.settings.root, words={"reason": "wrong unit", "person": "Ada"})
    found, far = look(space, batch[:6])
    assert found.facts[found.focus]["state"] == f"was taken back by Ada on {datetime.now(UTC):%Y-%m-%d}: wrong unit"
    assert found.facts[Thing("version", "1")]["taken_back"] == [batch]
    assert far.versions == (1,)


def test_everything_is_there_for_machines(space: Workspace):
    found, far = look(space, batch_of(space, "orders", 0))
    told = json.loads(json.dumps(as_json(found, far)))
    assert told["focus"] == ["batch", found.focus.name]
    ends = {tuple(end) for edge in (*told["above"], *told["below"]) for end in (edge["from"], edge["to"])}
    assert ends == {(one["kind"], one["name"]) for one in told["things"]}
    assert told["reached"]["published"][0]["through"] == ["the model", "the rows"]
    assert told["reached"]["served"][0]["rows"] == 4


def test_the_first_signs_name_a_thing_where_they_name_no_other(space: Workspace):
    journal = space.journal
    snapshot, decision = journal.rows(tables.snapshots)[0]["snapshot"], journal.rows(tables.decisions)[0]["decision"]
    delivery, published = journal.rows(tables.deliveries)[0]["delivery"], journal.last(tables.publications)["publication"]
    known = {"snapshot": snapshot, "decision": decision, "delivery": delivery, "publication": published}
    for kind, name in known.items():
        for text in (name, name[:6], name[:9].upper()):
            assert identify(journal, text) == Thing(kind, name)
    assert identify(journal, "orders/orders-0000-0069.csv").kind == "delivery"
    prediction = journal.rows(tables.served)[0]["prediction"]
    assert identify(journal, prediction) == Thing("prediction", prediction)


def test_a_name_of_several_things_or_of_none_is_refused_with_what_is_near(space: Workspace):
    with pytest.raises(RefusedError, match=r"Got 'a1a1a1', which names several things: a1a1.*\(prediction\).*Say more of it\."):
        identify(space.journal, "a1a1a1")
    batch = batch_of(space, "orders", 0)
    wrong = ("0" if batch[5] != "0" else "1").join((batch[:5], batch[6:12]))
    with pytest.raises(RefusedError, match=rf"names nothing here; expected a version.*The nearest: {batch[:12]} \(batch\)"):
        identify(space.journal, wrong)
    with pytest.raises(RefusedError, match=r"names nothing here; expected.*6 or more of the first signs"):
        identify(space.journal, batch[:5])
    with pytest.raises(RefusedError, match=r"The nearest: orders/orders-0000-0069\.csv \(delivery\)"):
        identify(space.journal, "orders/orders-0000-0096.csv")
    with pytest.raises(RefusedError, match=r"The nearest: v1 \(version\)"):
        identify(space.journal, "v2")
    with pytest.raises(RefusedError, match="Nothing is like it"):
        identify(space.journal, "%")


def test_the_log_counts_by_version_and_finds_by_the_first_signs(url: str):
    journal = tables.Journal(url)
    assert (log.by_version(journal), log.beginning_with(journal, "a1", most=5)) == ((), [])
    first = put_decisions(journal, ["a", "b"], [0, 1])
    put_decisions(journal, ["c"], [0], version=2, asked=ASKED + timedelta(hours=1))
    told = [(one.version, one.rows, one.since, one.until) for one in log.by_version(journal)]
    later = (ASKED + timedelta(hours=1)).isoformat()
    assert told == [(1, 2, ASKED.isoformat(), ASKED.isoformat()), (2, 1, later, later)]
    assert log.beginning_with(journal, first[0], most=5) == first[:1]
    assert log.beginning_with(journal, "a1a1", most=2) == first[:2]
    assert log.beginning_with(journal, "a%", most=2) == []
    journal.close()
