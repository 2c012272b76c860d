"""Data that do not go together any more: who can say nothing says so, names the way out, and nobody falls over it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from workspaces import deliver_days, ingest, keep, kept, open_space, with_join

from evergreen import journal as tables
from evergreen import retraining, revocations, status
from evergreen.causes import find_alerts
from evergreen.contract import Problem
from evergreen.control import ahead, doubted_partitions, refresh_site, spoilt_versions
from evergreen.data.snapshots import explained, frame_of, take_snapshot
from evergreen.errors import JoinError
from evergreen.files import digest_file
from evergreen.monitoring.pillars import why_apart
from evergreen.status import look_at_health, realized_so_far
from evergreen.workspace import Workspace

WORDS = {"reason": "wrong unit", "person": "Ada"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    space = open_space(tmp_path_factory.mktemp("apart") / "home")
    for start in (0, 30):
        deliver_days(space, 30, start=start)
    ingest(space)
    return keep(space)


@pytest.fixture
def space(home: Path) -> Iterator[Workspace]:
    with kept(home) as space:
        yield space


def under(space: Workspace, problem: Problem) -> Workspace:
    return Workspace(space.settings, problem, space.journal)


def take_back(space: Workspace, source: str) -> str:
    rows = space.journal.rows(tables.deliveries, source=source)
    batch = str(rows[-1]["batch"])
    assert revocations.revoke(space.journal, batch, root=space.settings.root, words=WORDS)
    return batch


def test_what_was_taken_back_of_a_joined_source_is_named_with_both_ways_out(space: Workspace):
    batch = take_back(space, "stock")
    with pytest.raises(JoinError) as error:
        retraining.prepare(space, take_snapshot(space.journal, space.problem))
    said = str(error.value)
    assert said.startswith(f"The batch {batch[:12]} (stock/stock-0030-0059.csv) was taken back by Ada on ")
    assert (
        f"give it back (evergreen batch restore {batch[:12]} --reason ...), or deliver a corrected file under the same name. Join with"
        in said
    )
    assert error.value.source == "stock"


def test_so_it_is_where_only_the_newest_rows_find_no_partner(space: Workspace):
    lenient = under(space, with_join(0, min_match=0.4))
    retraining.prepare(lenient, take_snapshot(lenient.journal, lenient.problem))
    batch = take_back(lenient, "stock")
    with pytest.raises(JoinError, match=rf"The batch {batch[:12]} .* No model was trained"):
        retraining.prepare(lenient, take_snapshot(lenient.journal, lenient.problem))


def test_of_a_source_of_which_nothing_was_taken_back_nothing_is_said(space: Workspace):
    take_back(space, "outcomes")
    deliver_days(space, 30, start=60, without=("stock",))
    ingest(space)
    with pytest.raises(JoinError, match=r"^Join with stock: .* Is a delivery of stock missing\?$"):
        retraining.prepare(space, take_snapshot(space.journal, space.problem))


def test_what_comes_next_is_that_nothing_does_until_they_go_together_again(space: Workspace):
    now = datetime.now(UTC)
    look_at_health(space, now)
    assert why_apart(space.journal, space.problem) == ""
    before = ahead(space, now)
    batch = take_back(space, "stock")
    look_at_health(space, now)
    why = why_apart(space.journal, space.problem)
    assert why.startswith(f"nothing can be joined: The batch {batch[:12]}")
    assert ahead(space, now) == [f"No model is trained and nothing is predicted until the data go together again: {why}"]
    (alert,) = [one for one in find_alerts(space, now) if one.kind == "health"]
    assert f"evergreen batch restore {batch[:12]}" in alert.what
    assert realized_so_far(space) == []
    assert "until the data go together again" in refresh_site(space, []).read_text()
    assert revocations.restore(space.journal, batch, root=space.settings.root, words=WORDS)
    look_at_health(space, now)
    assert (why_apart(space.journal, space.problem), ahead(space, now)) == ("", before)


def test_what_a_look_found_of_other_batches_or_by_another_contract_says_nothing_of_today(space: Workspace):
    now = datetime.now(UTC)
    batch = take_back(space, "stock")
    look_at_health(space, now)
    lenient = under(space, with_join(0, min_match=0.0))
    assert why_apart(space.journal, space.problem) != ""
    assert why_apart(lenient.journal, lenient.problem) == ""
    assert revocations.restore(space.journal, batch, root=space.settings.root, words=WORDS)
    assert why_apart(space.journal, space.problem) == ""  # nobody has looked since


def test_a_look_at_batches_that_no_longer_count_is_not_written_down(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    def meanwhile(*given: object) -> object:
        frame = frame_of(*given)
        take_back(space, "stock")
        return frame

    monkeypatch.setattr(status, "frame_of", meanwhile)
    assert look_at_health(space, datetime.now(UTC)) == []
    assert space.journal.rows(tables.checkups, name="look") == []


def test_newest_rows_without_partners_promise_no_training(space: Workspace):
    now = datetime.now(UTC)
    lenient = under(space, with_join(0, min_match=0.4))
    look_at_health(lenient, now)
    assert "The schedule asks for a training" in ahead(lenient, now)[0]
    take_back(lenient, "stock")
    look_at_health(lenient, now)
    assert why_apart(lenient.journal, lenient.problem) == ""
    (said,) = ahead(lenient, now)
    assert said.startswith("No model is trained on rows that find no partner, until they do: stock: 0.0% of the newest orders find")


def test_a_guard_that_is_broken_for_another_reason_blames_no_batch(space: Workspace):
    take_back(space, "stock")
    error = JoinError("Join with stock: 2 rows share their key.").of("stock")
    assert explained(space.journal, error) is error
    assert str(explained(space.journal, JoinError("Join with stock: few.").of("stock", is_lacking=True))).endswith(" Join with stock: few.")


def test_predictions_are_listed_though_nobody_knows_what_they_were_worth(space: Workspace):
    name, order = "predictions/p.parquet", space.problem.key
    (space.settings.root / "predictions").mkdir()
    rows = pd.DataFrame({order: ["o"], "decision": [1], "probability": [0.5], "model_version": [1]})
    rows.to_parquet(space.settings.root / name)
    content, snapshot = digest_file(space.settings.root / name), take_snapshot(space.journal, space.problem)
    row = {"publication": "p", "partition": "2026-03-06", "version": 1, "after": 0, "snapshot": snapshot.id}
    space.journal.add(tables.publications, **row, path=name, content=content, row_count=1)
    take_back(space, "outcomes")
    assert doubted_partitions(space.journal, space.problem) == frozenset()  # nobody has predicted from outcomes
    take_back(space, "stock")
    assert doubted_partitions(space.journal, space.problem) == frozenset({"2026-03-06"})
    (told,) = realized_so_far(space)
    assert (told["partition"], told["realized"], told["lacks"]) == ("2026-03-06", None, True)
    look_at_health(space, datetime.now(UTC))
    page = refresh_site(space, [told]).read_text()
    assert "not known now" in page
    assert "waiting for outcomes" not in page


def test_whoever_has_learnt_from_what_was_taken_back_is_marked_and_what_rests_on_it(space: Workspace):
    snapshot = take_snapshot(space.journal, space.problem)
    row = {"version": 1, "run_id": "r", "artefact": "a", "training_key": "k", "evidence": "e", "facts": {}}
    space.journal.add(tables.versions, **row, snapshot=snapshot.id)
    assert (spoilt_versions(space.journal), doubted_partitions(space.journal, space.problem)) == ({}, frozenset())
    batch = take_back(space, "orders")
    assert spoilt_versions(space.journal)[1].startswith(f"batch {batch[:12]} of orders, which was taken back by Ada")
