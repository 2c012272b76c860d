"""What follows where models have learnt from a batch that a person has taken back: nothing promotes them, and everything says so."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from moves import begun
from workspaces import changed, deliver_days, ingest, judge, keep, kept, open_space, train

from evergreen import journal as tables
from evergreen import resuming, retraining, revocations
from evergreen.brakes import freeze, unfreeze
from evergreen.causes import find_alerts
from evergreen.control import refresh_site
from evergreen.data.snapshots import take_snapshot
from evergreen.errors import RefusedError, RevokedError
from evergreen.marking import mark
from evergreen.occasions import weigh
from evergreen.policies import GatePolicy
from evergreen.promotion import Word, promote, reconcile, rollback, standing
from evergreen.releases import carry_out, override, release, waiting
from evergreen.status import current_state, is_due, notices
from evergreen.workspace import Workspace


def today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


WORDS = {"reason": "wrong currency", "person": "Ada"}
WANTS_MORE = changed(gate=GatePolicy(min_rows=5_000))
DIES_BEFORE_MLFLOW = """
import os, sys
from pathlib import Path
from workspaces import open_space
from evergreen import revocations
space = open_space(Path(sys.argv[1]))
assert revocations.revoke(space.journal, sys.argv[2], root=space.settings.root, words={"reason": "wrong currency", "person": "Ada"})
os._exit(9)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of two deliveries of each source, and nothing trained."""
    space = open_space(tmp_path_factory.mktemp("taken back") / "home")
    for start in (0, 70):
        deliver_days(space, 70 if start == 0 else 15, start=start)
    ingest(space)
    return keep(space)


@pytest.fixture(scope="module")
def served_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, and version 1 has learnt from both and serves."""
    space = open_space(tmp_path_factory.mktemp("serves") / "home")
    for start in (0, 70):
        deliver_days(space, 70 if start == 0 else 15, start=start)
    ingest(space)
    assert train(space)["verdict"] == "promote"
    return keep(space)


@pytest.fixture
def fresh(home: Path) -> Iterator[Workspace]:
    with kept(home) as space:
        yield space


@pytest.fixture
def serves(served_home: Path) -> Iterator[Workspace]:
    with kept(served_home) as space:
        yield space


def batch_of(space: Workspace, start: int = 0, source: str = "orders") -> str:
    return next(row["batch"] for row in space.journal.rows(tables.deliveries, source=source) if f"{source}-{start:04d}" in row["name"])


def revoke(space: Workspace, start: int = 0) -> str:
    batch = batch_of(space, start)
    assert revocations.revoke(space.journal, batch, root=space.settings.root, words=WORDS)
    return batch


def restore(space: Workspace, batch: str) -> None:
    assert revocations.restore(space.journal, batch, root=space.settings.root, words=WORDS)


def said(batch: str) -> str:
    return f"batch {batch[:12]} of orders, which was taken back by Ada on {today()}: wrong currency"


def tags(space: Workspace, version: int) -> dict[str, str]:
    return space.registry._client.get_model_version(space.problem.name, str(version)).tags


def findings(record: dict[str, Any]) -> dict[str, str]:
    return {finding["check"]: finding["reason"] for finding in record["findings"] if finding["outcome"] == "reject"}


def test_a_champion_that_has_learnt_from_it_is_told_everywhere_until_it_is_given_back(serves: Workspace):
    now = datetime.now(UTC)
    assert (notices(serves, now), find_alerts(serves, now)) == ([], [])
    batch = revoke(serves)
    assert notices(serves, now) == [("bad", f"Version 1 serves, and has learnt from {said(batch)}; the next training does without it.")]
    (alert,) = find_alerts(serves, now)
    assert (alert.kind, alert.command) == ("revoked", "evergreen run")
    assert alert.what == f"Version 1 serves, and has learnt from {said(batch)}. The next training does without it."
    page = refresh_site(serves, []).read_text()
    assert said(batch) in page
    assert "TAKEN BACK" not in page  # of each source the newest delivery is shown
    other = revoke(serves, 70)
    assert f"{said(batch)}; {said(other)}" in notices(serves, now)[0][1]
    assert "TAKEN BACK" in refresh_site(serves, []).read_text()
    restore(serves, other)
    restore(serves, batch)
    assert (notices(serves, now), find_alerts(serves, now)) == ([], [])


def test_a_champion_that_has_not_learnt_from_it_is_left_alone(serves: Workspace):
    deliver_days(serves, 5, start=85, without=("outcomes",))
    ingest(serves)
    revoke(serves, 85)
    now = datetime.now(UTC)
    assert (notices(serves, now), find_alerts(serves, now)) == ([], [])


def test_it_asks_for_a_training_by_itself_which_does_without_it(serves: Workspace):
    now = datetime.now(UTC)
    assert list(weigh(serves, ["data"], now)) == []
    state = current_state(serves, "inputs", 1)
    batch = revoke(serves)
    ((trigger, decision),) = weigh(serves, ["data"], now)
    assert (trigger.kind, decision.action, decision.rule) == ("data", "retrain", "data")
    assert current_state(serves, "inputs", 1) != state  # so that a round goes and shows it, whatever was taken back
    revoke(serves, 70)
    restore(serves, batch)
    assert batch in take_snapshot(serves.journal, serves.problem).batches["orders"]
    restore(serves, batch_of(serves, 70))
    assert list(weigh(serves, ["data"], now)) == []


def test_mlflow_shows_it_on_the_versions_that_learnt_from_it_and_a_kill_before_that_heals(serves: Workspace):
    root, batch = serves.settings.root, batch_of(serves)
    killed = [sys.executable, "-c", DIES_BEFORE_MLFLOW, str(root), batch]
    assert subprocess.run(killed, cwd=Path(__file__).parents[1], check=False, env=os.environ).returncode == 9
    assert "taken_back" not in tags(serves, 1)
    for _ in range(2):
        mark(serves.registry)
        assert tags(serves, 1)["taken_back"] == said(batch)
    restore(serves, batch)
    for _ in range(2):
        mark(serves.registry)
        assert "taken_back" not in tags(serves, 1)


def test_a_home_in_which_nothing_was_taken_back_does_not_reach_mlflow(fresh: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(type(fresh.registry), "tag", None)
    mark(fresh.registry)
    revoke(fresh)
    mark(fresh.registry)  # nobody has learnt from it


def test_what_is_taken_back_while_a_candidate_is_judged_is_noticed_by_the_gate(fresh: Workspace):
    material = retraining.prepare(fresh, take_snapshot(fresh.journal, fresh.problem))
    candidate = retraining.make_candidate(fresh, material, tuning=False)
    asked = retraining.ask_models(fresh, material, candidate)
    batch = revoke(fresh)
    record = retraining.decide(fresh, material, candidate, asked)
    assert record["verdict"] == "reject"
    assert findings(record).keys() == {"data"}
    assert f"what it rests on ({said(batch)})" in findings(record)["data"]
    retraining.apply(fresh, record)
    assert standing(fresh.journal).champion is None


def test_a_held_version_that_has_learnt_from_it_is_rejected_when_it_is_judged_again(tmp_path: Path):
    space = open_space(tmp_path / "home", problem=WANTS_MORE)
    deliver_days(space, 35)
    deliver_days(space, 35, start=35)
    ingest(space)
    assert train(space)["verdict"] == "hold"
    batch = revoke(space, 0)
    deliver_days(space, 45, start=70)
    ingest(space)
    with pytest.raises(RefusedError, match="No version is held"):
        resuming.held_version(space)  # a round does not choose it
    version = resuming.held_version(space, 1)
    with pytest.raises(RevokedError, match=f"Version 1 is not promoted: it has learnt from {said(batch)}.*evergreen batch restore"):
        release(space.registry, 1, reason="in a hurry", person="Ada")
    material = resuming.prepare_again(space, take_snapshot(space.journal, space.problem), version)
    record = retraining.decide(space, material, version, retraining.ask_models(space, material, version))
    assert record["verdict"] == "reject"
    assert f"what it rests on ({said(batch)})" in findings(record)["data"]
    assert standing(space.journal).champion is None
    space.journal.close()


def frozen_promote(space: Workspace) -> dict[str, Any]:
    """A PROMOTE of version 1 that waits for a freeze to end."""
    assert freeze(space.journal, root=space.settings.root, reason="audit", person="Grace")
    record = judge(space, retraining.prepare(space, take_snapshot(space.journal, space.problem)))
    retraining.apply(space, record)
    assert record["verdict"] == "promote"
    assert waiting(space.journal) == record
    return record


def test_a_promote_that_waits_is_not_carried_out_once_its_data_are_taken_back(fresh: Workspace):
    record, now = frozen_promote(fresh), datetime.now(UTC)
    batch = revoke(fresh)
    assert waiting(fresh.journal) is None
    assert unfreeze(fresh.journal, root=fresh.settings.root, reason="done", person="Grace")
    assert not is_due(fresh, now)
    carry_out(fresh.registry, record)
    assert standing(fresh.journal).champion is None
    assert fresh.journal.rows(tables.promotions) == []
    assert notices(fresh, now) == [("hold", f"The PROMOTE of version 1 is not carried out: it rests on {said(batch)}.")]
    with pytest.raises(RevokedError):
        promote(fresh.registry, 1, Word("promotion", "as judged", "gate"), expected_champion=None)
    restore(fresh, batch)
    assert is_due(fresh, now)
    carry_out(fresh.registry, record)
    assert standing(fresh.journal).champion == 1


def test_a_verdict_whose_holdout_was_taken_back_is_not_carried_out_either(fresh: Workspace):
    record = frozen_promote(fresh)
    row = fresh.journal.last(tables.decisions)
    deliver_days(fresh, 5, start=85)
    ingest(fresh)
    later = take_snapshot(fresh.journal, fresh.problem)
    again = {name: value for name, value in row.items() if name not in {"seq", "at"}} | {"decision": "again", "snapshot": later.id}
    fresh.journal.add(tables.decisions, **again | {"record": record | {"decision": "again"}})
    assert waiting(fresh.journal) == record | {"decision": "again"}
    batch = revoke(fresh, 85)
    assert waiting(fresh.journal) is None
    assert unfreeze(fresh.journal, root=fresh.settings.root, reason="done", person="Grace")
    carry_out(fresh.registry, record | {"decision": "again"})
    assert standing(fresh.journal).champion is None
    restore(fresh, batch)
    carry_out(fresh.registry, record | {"decision": "again"})
    assert standing(fresh.journal).champion == 1


def test_a_promotion_that_was_cut_short_before_is_undone(fresh: Workspace):
    frozen_promote(fresh)
    assert unfreeze(fresh.journal, root=fresh.settings.root, reason="done", person="Grace")
    begun(fresh.registry, 1, champion=None, anchor=1)
    batch = revoke(fresh)
    (told,) = reconcile(fresh.registry)
    assert told.startswith("Undid the promotion to version 1 that was cut short: ")
    assert said(batch) in told
    assert [row["state"] for row in fresh.journal.rows(tables.promotions)] == ["intent", "undone"]
    assert fresh.registry.aliases() == {}


def test_a_person_may_go_back_to_a_version_that_has_learnt_from_it_and_overrule_the_gate_for_one(serves: Workspace):
    deliver_days(serves, 30, start=85)
    ingest(serves)
    train(serves)
    if standing(serves.journal).champion == 1:
        release(serves.registry, 2, reason="newer", person="Ada")
    assert standing(serves.journal).champion == 2
    revoke(serves)
    assert rollback(serves.registry, reason="it is worse", person="Ada") == 1
    assert standing(serves.journal).champion == 1


def test_a_round_is_gone_for_it_until_a_version_has_learnt_without_it(serves: Workspace):
    def reason() -> str:
        return next(weigh(serves, ["data"], datetime.now(UTC)))[1].reason

    batch = revoke(serves, 70)
    assert reason() == f"the version that serves has learnt from {said(batch)}"
    deliver_days(serves, 30, start=85)
    ingest(serves)
    material = retraining.prepare(serves, take_snapshot(serves.journal, serves.problem))
    retraining.make_candidate(serves, material, tuning=False)
    assert reason() == "there is something new to learn from"


def test_an_override_passes_over_it(fresh: Workspace):
    material = retraining.prepare(fresh, take_snapshot(fresh.journal, fresh.problem))
    candidate = retraining.make_candidate(fresh, material, tuning=False)
    asked = retraining.ask_models(fresh, material, candidate)
    revoke(fresh)
    record = retraining.decide(fresh, material, candidate, asked)
    assert record["verdict"] == "reject"
    override(fresh.registry, 1, reason="nothing else serves", person="Ada", expires=datetime.now(UTC) + timedelta(days=1))
    assert standing(fresh.journal).champion == 1
