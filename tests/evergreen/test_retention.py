import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import workspaces
from candidates import LOCK, toy_candidate, toy_registry
from logged import put_decisions
from moves import given, judged
from toy.contract import PROBLEM

from evergreen import journal as tables
from evergreen import shadows
from evergreen.backups import backup_lock
from evergreen.brakes import removed
from evergreen.data.checkups import profile_path
from evergreen.errors import BusyError, RefusedError, StoreError
from evergreen.files import digest_file, write_json
from evergreen.monitoring.performance import last_predictions
from evergreen.prediction import reproduce_golden
from evergreen.promotion import rollback
from evergreen.provenance import provenance_digests
from evergreen.registry import Registry, cache_name
from evergreen.releases import override, release
from evergreen.resuming import held_version
from evergreen.retention import WHY, Removal, clean, find_removable, kept_versions, needed_since
from evergreen.settings import Settings
from evergreen.workspace import Workspace

TESTS = Path(__file__).parents[1]
CHAMPION, PREVIOUS, ANCHOR, REFUSED, STALE, HELD, WAITING, LAST = range(1, 9)


def now() -> datetime:
    return datetime.now(UTC)


def later() -> datetime:
    """When everything that there is has become old."""
    return now() + timedelta(days=100)


def with_settings(space: Workspace, **values: Any) -> Workspace:
    return Workspace(space.settings.model_copy(update=values), space.problem, space.journal)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight versions, each there for another reason; made once, and copied by nobody: it is put back from a copy at its own place."""
    registry = toy_registry(tmp_path_factory.mktemp("retention") / "home")
    today = provenance_digests(PROBLEM, snapshot="5" * 64, lock=LOCK)
    for number in range(1, 9):
        made = toy_candidate(f"version {number}", days=7)
        registry.register(dataclasses.replace(made, provenance=today) if number == HELD else made)
    given(registry, champion=ANCHOR, previous=None, anchor=ANCHOR, move="first")
    given(registry, champion=PREVIOUS, previous=ANCHOR, anchor=ANCHOR, move="second")
    given(registry, champion=CHAMPION, previous=PREVIOUS, anchor=ANCHOR, move="third")
    sound = {"finite": "pass", "hygiene": "pass", "parity": "pass", "leakage": "reject"}
    judged(registry, REFUSED, "reject", **sound)
    judged(registry, STALE, "hold")
    judged(registry, HELD, "hold")
    judged(registry, WAITING, "promote")
    judged(registry, LAST, "reject")
    registry.journal.close()
    root = registry.settings.root
    shutil.copytree(root, root.with_name("copy"))
    return root


@pytest.fixture
def space(planted: Path) -> Iterator[Workspace]:
    """That home, with room for one decision to be spared; as it was, for each test."""
    for name in planted.iterdir():  # MLflow holds its database open: the file stays, and is written anew
        shutil.rmtree(name) if name.is_dir() else None
    for source in planted.with_name("copy").rglob("*"):
        target = planted / source.relative_to(planted.with_name("copy"))
        if source.is_dir():
            target.mkdir(exist_ok=True)
        elif not source.name.startswith(("mlflow.db", "journal.db")):
            shutil.copyfile(source, target)
    for name in planted.glob("journal.db*"):
        name.unlink()
    shutil.copyfile(planted.with_name("copy") / "journal.db", planted / "journal.db")
    registry = toy_registry(planted, keep_decisions=1, keep_days=90)
    yield Workspace(registry.settings, PROBLEM, registry.journal)
    registry.journal.close()


def write(path: Path, text: str = "some text") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def of_kind(found: list[Removal], kind: str) -> set[str]:
    return {one.name or path.name for one in found if one.kind == kind for path in one.paths}


def has_model(space: Workspace, version: int) -> bool:
    try:
        space.registry.folder(space.registry.version(version))
        space.registry.evidence_folder(space.registry.version(version))
    except StoreError:
        return False
    return True


def test_who_serves_or_may_be_needed_is_kept_and_who_was_refused_long_ago_is_not(space: Workspace):
    assert kept_versions(space, now=later()) == {CHAMPION, PREVIOUS, ANCHOR, HELD, WAITING, LAST}
    assert of_kind(find_removable(space, now=later()), "model") == {str(REFUSED), str(STALE)}


def test_what_is_young_is_kept(space: Workspace):
    assert find_removable(space, now=now()) == []
    assert of_kind(find_removable(with_settings(space, keep_days=0.0), now=later()), "model") == {str(REFUSED), str(STALE)}


def test_the_candidates_of_the_last_decisions_are_kept(space: Workspace):
    assert REFUSED in kept_versions(with_settings(space, keep_decisions=5), now=later())
    assert REFUSED not in kept_versions(with_settings(space, keep_decisions=4), now=later())


def test_a_held_version_is_kept_while_it_can_be_judged_again(space: Workspace):
    other = Workspace(space.settings, PROBLEM.model_copy(update={"features": ("product", "amount")}), space.journal)
    assert HELD in kept_versions(space, now=later())
    assert HELD not in kept_versions(other, now=later())


def test_a_version_that_was_never_judged_goes_when_it_is_old(space: Workspace):
    assert space.registry.register(toy_candidate("never judged", days=7)).number == LAST + 1
    assert LAST + 1 in kept_versions(space, now=now())
    assert LAST + 1 not in kept_versions(space, now=later())


def test_models_are_removed_and_all_others_answer_as_before(space: Workspace):
    told = clean(space, now=later())
    assert of_kind(told, "model") == {str(REFUSED), str(STALE)}
    assert [has_model(space, number) for number in range(1, 9)] == [number not in (REFUSED, STALE) for number in range(1, 9)]
    assert set(removed(space.journal)) == {REFUSED, STALE}
    assert clean(space, now=later()) == []
    for number in (CHAMPION, PREVIOUS, ANCHOR, HELD):
        reproduce_golden(space.registry, space.registry.version(number))


def test_a_version_whose_model_was_removed_is_refused_in_a_sentence_wherever_it_is_named(space: Workspace):
    clean(space, now=later())
    registry: Registry = space.registry
    why = rf"The model of version {STALE} is not there any more: `evergreen clean` removed it on \d{{4}}-\d\d-\d\d\. Restore a backup"
    for refused in (
        lambda: release(registry, STALE, reason="r", person="ann"),
        lambda: held_version(space, STALE),
        lambda: registry.folder(registry.version(STALE)),
        lambda: registry.training_rows(registry.version(STALE)),
    ):
        with pytest.raises(StoreError, match=why):
            refused()
    with pytest.raises(StoreError, match=f"The model of version {REFUSED} is not there any more"):
        override(registry, REFUSED, reason="r", person="ann", expires=later())
    assert held_version(space).number == HELD
    assert space.journal.rows(tables.promotions, version=STALE) == []


def test_mlflow_shows_what_was_removed(space: Workspace):
    clean(space, now=later())
    tags = {number: space.registry._client.get_model_version("toy", str(number)).tags for number in (REFUSED, CHAMPION)}
    assert tags[REFUSED]["removed"] == f"by evergreen clean: {WHY['model']}"
    assert "removed" not in tags[CHAMPION]


def test_a_clean_up_leaves_a_way_back(space: Workspace):
    clean(space, now=later())
    assert rollback(space.registry, reason="looks wrong", person="ann") == PREVIOUS
    given(space.registry, champion=CHAMPION, previous=PREVIOUS, anchor=ANCHOR, move="back again")


def test_evidence_of_other_holdouts_goes(space: Workspace):
    root = space.settings.root
    for number in (CHAMPION, REFUSED):
        write(root / "evidence" / f"version {number}"[:16] / "holdout.parquet")
    assert of_kind(find_removable(space, now=now()), "evidence") == set()
    clean(space, now=later())
    assert [path.name for path in sorted((root / "evidence").iterdir())] == [f"version {CHAMPION}"]


def published(space: Workspace, name: str, *keys: str, partition: str = "2026-01-05", pointed: bool = True) -> Path:
    root, folder = space.settings.root, space.settings.root / "predictions" / f"dt={partition}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.parquet"
    pd.DataFrame({"order_id": keys, "decision": 1, "model_version": len(name)}).to_parquet(path, index=False)
    last = space.journal.last(tables.publications, partition=partition)
    row = {"publication": name, "partition": partition, "snapshot": "s", "path": path.relative_to(root).as_posix()}
    counts = {"version": 1, "row_count": len(keys), "after": last["seq"] if last else 0}
    space.journal.add(tables.publications, **row, **counts, content=digest_file(path))
    if pointed:
        write_json(folder / "current.json", {"path": path.name})
    return path


def test_predictions_that_later_ones_repeat_go_and_the_figures_stay(space: Workspace):
    first, second = published(space, "a", "o1", "o2"), published(space, "bb", "o2", "o1", "o3")
    partly, other = published(space, "ccc", "o4", "o5", partition="2026-02-01"), published(space, "dddd", "o5", partition="2026-02-01")
    unpublished = write(first.with_name("eeeee.parquet"))
    root = space.settings.root
    before = last_predictions(root, space.journal, PROBLEM).reset_index(drop=True)
    assert of_kind(find_removable(space, now=now()), "prediction") == set()
    told = clean(space, now=later())
    assert of_kind(told, "prediction") == {first.relative_to(root).as_posix()}
    assert [path.exists() for path in (first, second, partly, other, unpublished)] == [False, True, True, True, False]
    pd.testing.assert_frame_equal(last_predictions(root, space.journal, PROBLEM).reset_index(drop=True), before)


def test_the_prediction_that_a_pointer_names_stays_even_where_others_repeat_it(space: Workspace):
    named = published(space, "a", "o1")
    published(space, "bb", "o1", partition="2026-02-01")
    assert clean(space, now=later())
    assert named.exists()
    (named.parent / "current.json").write_text("torn")
    assert of_kind(find_removable(space, now=later()), "prediction") == set()


def test_a_prediction_that_is_missing_and_was_not_removed_by_us_is_still_told(space: Workspace):
    published(space, "a", "o1").unlink()
    with pytest.raises(StoreError, match="is not what was published"):
        last_predictions(space.settings.root, space.journal, PROBLEM)


def delivered(space: Workspace, name: str, outcome: str, batch: str | None = None, delivery: str = "") -> Path | None:
    last = space.journal.last(tables.deliveries, source="orders", name=name)
    row = {"delivery": delivery or f"{batch}", "rules": "r", "reason": "bad", "stat": "1:1", "batch": batch, "newest": None, "row_count": 1}
    after = last["seq"] if last else 0
    space.journal.add(tables.deliveries, source="orders", name=name, outcome=outcome, warnings=[], after=after, **row)
    return write(space.settings.root / "batches" / "orders" / f"{batch}.parquet") if batch else None


def test_batches_that_nothing_needs_go(space: Workspace):
    active, replaced, other = (delivered(space, "a.csv", "published", "old"), delivered(space, "a.csv", "published", "of-a-version"), None)
    other = delivered(space, "a.csv", "published", "new")
    orphan = write(space.settings.root / "batches" / "orders" / "orphan.parquet")
    space.journal.add(tables.snapshots, snapshot="5" * 64, batches={"orders": ["of-a-version"]})
    assert of_kind(find_removable(space, now=now()), "batch") == set()
    clean(space, now=later())
    assert [path.exists() for path in (active, replaced, other, orphan)] == [False, True, True, False]


def test_the_profile_of_a_batch_goes_with_it_and_one_that_is_left_alone_goes_too(space: Workspace):
    for batch in ("old", "new"):
        delivered(space, "a.csv", "published", batch)
    profiles = {batch: write(profile_path(space.settings.root, "orders", batch)) for batch in ("old", "new", "alone")}
    assert of_kind(find_removable(space, now=now()), "temporary") == set()
    clean(space, now=later())
    assert [batch for batch, path in profiles.items() if path.exists()] == ["new"]


def test_batches_of_recent_snapshots_and_of_recent_decisions_stay(space: Workspace):
    for number in range(3):
        delivered(space, "a.csv", "published", f"b{number}")
    space.journal.add(tables.snapshots, snapshot="s", batches={"orders": ["b0"]})  # the snapshot of the last decision
    space.journal.add(tables.snapshots, snapshot="another", batches={"orders": ["b1"]})
    assert of_kind(find_removable(space, now=later()), "batch") == {"b1.parquet"}
    assert of_kind(find_removable(with_settings(space, keep_days=200.0), now=later()), "batch") == set()


def test_what_was_published_before_a_refused_correction_goes_on_counting(space: Workspace):
    path = delivered(space, "a.csv", "published", "good")
    delivered(space, "a.csv", "quarantined", delivery="b" * 64)
    clean(space, now=later())
    assert path.exists()


def test_a_refused_file_goes_once_another_took_its_place_and_its_page_stays(space: Workspace):
    cells = [space.settings.root / "quarantine" / "orders" / (letter * 16) for letter in "ab"]
    for cell in cells:
        write(cell / "delivered" / "a.csv")
        write(cell / "index.html")
    delivered(space, "a.csv", "quarantined", delivery="a" * 64)
    delivered(space, "a.csv", "published", "good")
    delivered(space, "b.csv", "quarantined", delivery="b" * 64)
    assert of_kind(find_removable(space, now=now()), "quarantine") == set()
    clean(space, now=later())
    assert [(cell / "delivered" / "a.csv").exists() for cell in cells] == [False, True]
    assert all((cell / "index.html").exists() for cell in cells)


def test_what_killed_runs_left_goes_and_what_somebody_writes_now_stays(space: Workspace):
    root = space.settings.root
    left = [
        "predictions/dt=a/.x.parquet.12.tmp",
        "predictions/dt=a/.scratch/rows",
        "batches/orders/.b.tmp",
        ".mlflow.db.12.tmp",
        "site/.i.tmp",
    ]
    paths = [write(root / name) for name in left]
    spared = [write(root / name) for name in ("landing/orders/.a.csv", ".pipeline.lock", "cache/.cache.lock", "mlartifacts/.kept")]
    assert of_kind(find_removable(space, now=now() + timedelta(hours=23)), "temporary") == set()
    clean(space, now=now() + timedelta(hours=25))
    assert [path.exists() for path in paths] == [False] * len(paths)
    assert not (root / "predictions" / "dt=a" / ".scratch").exists()
    assert all(path.exists() for path in spared)


def test_copies_of_models_and_logs_that_nobody_needs_go(space: Workspace):
    root, registry = space.settings.root, space.registry
    copies = {number: root / "cache" / cache_name(registry.version(number).facts["model_uri"]) for number in (CHAMPION, REFUSED)}
    for copy in copies.values():
        write(copy / "MLmodel")
    log, database = write(root / "prefect" / "server.log"), write(root / "prefect" / "prefect.db")
    assert of_kind(find_removable(space, now=now()), "cache") == set()
    told = clean(space, now=later())
    assert of_kind(told, "cache") == {copies[REFUSED].name}
    assert copies[CHAMPION].exists()
    assert (log.exists(), database.exists()) == (False, True)


def files_of(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() and "lock" not in path.name}


def test_looking_removes_nothing_and_writes_nothing(space: Workspace):
    before = files_of(space.settings.root)
    assert find_removable(space, now=later())
    assert files_of(space.settings.root) == before
    assert space.journal.rows(tables.removals) == []


def test_the_sizes_are_those_of_the_files(space: Workspace):
    write(space.settings.root / "site" / ".left.tmp", "x" * 2_000_000)
    (one,) = [one for one in find_removable(space, now=later()) if one.kind == "temporary"]
    assert one.megabytes == 2.0
    assert all(one.megabytes > 0 for one in find_removable(space, now=later()))


def test_nothing_is_removed_while_another_command_a_backup_or_a_move_is_at_work(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    root = space.settings.root
    monkeypatch.setattr("evergreen.brakes.WAIT_SECONDS", 0.1)
    for held in (workspaces.somebody_at_work(root), backup_lock(root), workspaces.somebody_at_work(root, "promotion")):
        with held, pytest.raises(BusyError):
            clean(space, now=later())
    assert has_model(space, REFUSED)
    assert space.journal.rows(tables.removals) == []


KILLED = """
import os, signal, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from candidates import toy_registry
from toy.contract import PROBLEM
from evergreen import faults
from evergreen.retention import clean
from evergreen.workspace import Workspace

passed = []

def kill(point):
    passed.append(point)
    if len(passed) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

faults.arm(kill)
registry = toy_registry(Path(sys.argv[1]), keep_decisions=1, keep_days=90)
clean(Workspace(registry.settings, PROBLEM, registry.journal), now=datetime.now(UTC) + timedelta(days=100))
"""


@pytest.mark.parametrize("at", [1, 2, 4])
def test_a_clean_up_that_is_killed_is_finished_by_the_next(space: Workspace, at: int):
    words = [sys.executable, "-c", KILLED, str(space.settings.root), str(at)]
    done = subprocess.run(words, env={**os.environ, "PYTHONPATH": str(TESTS)}, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    assert all(has_model(space, number) for number in (CHAMPION, PREVIOUS, ANCHOR, HELD, WAITING, LAST))
    clean(space, now=later())
    assert set(removed(space.journal)) == {REFUSED, STALE}
    folders = [space.registry.version(number).facts[uri] for number in (REFUSED, STALE) for uri in ("model_uri", "evidence_uri")]
    assert not any(Path(uri.removeprefix("file://")).exists() for uri in folders)
    assert find_removable(space, now=later()) == []


def test_the_least_that_can_be_spared_is_one_decision():
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        Settings(_env_file=None, keep_decisions=0)
    assert (Settings(_env_file=None).keep_decisions, Settings(_env_file=None).keep_days) == (20, 90)


def test_what_was_never_refused_needs_no_backup(space: Workspace):
    clean(space, now=later())
    with pytest.raises(RefusedError, match=f"Version {LAST} was judged REJECT"):
        release(space.registry, LAST, reason="r", person="ann")
    release(space.registry, HELD, reason="r", person="ann")
    given(space.registry, champion=CHAMPION, previous=PREVIOUS, anchor=ANCHOR, move="back")


def outcomes_judged(space: Workspace, at: datetime, newest: datetime | None = None) -> None:
    """A delivery of outcomes that was published then, with the newest time in it."""
    row = {"source": "outcomes", "name": f"{at}.csv", "delivery": f"{at}", "rules": "r", "reason": "", "stat": "1:1", "batch": f"{at}"}
    with space.journal.writing() as connection:
        values = {**row, "outcome": "published", "row_count": 1, "warnings": [], "after": 0, "at": at.isoformat()}
        values["newest"] = newest.isoformat() if newest else None
        connection.execute(tables.deliveries.insert().values(**values))


def served_rows(space: Workspace) -> list[str]:
    return [row["entity"] for row in space.journal.rows(tables.served)]


DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def test_served_predictions_go_when_they_are_old_and_their_outcomes_have_had_their_time(space: Workspace):
    moment = now()
    outcomes_judged(space, moment - DAY)
    put_decisions(space.journal, ["old", "old too"], [1, 0], asked=moment - 91 * DAY)
    put_decisions(space.journal, ["edge"], [1], asked=moment - 90 * DAY)
    put_decisions(space.journal, ["young"], [1], asked=moment - 89 * DAY)
    (one,) = [one for one in find_removable(space, now=moment) if one.kind == "served"]
    assert (one.things, one.paths, one.megabytes > 0) == (2, (), True)
    assert len(served_rows(space)) == 4
    assert one in clean(space, now=moment)
    assert served_rows(space) == ["edge", "young"]
    (gone,) = space.journal.rows(tables.removals, kind="served")
    assert gone["name"] == f"2 predictions asked until {(moment - 91 * DAY).isoformat():.19}"
    assert gone["reason"] == f"by evergreen clean: {WHY['served']}"
    assert of_kind(clean(space, now=moment), "served") == set()


def test_a_served_prediction_stays_while_its_outcome_may_not_have_been_delivered(space: Workspace):
    eager, moment = with_settings(space, keep_days=0.0), now()
    delivered_at = moment - 10 * DAY
    outcomes_judged(space, delivered_at - DAY)
    outcomes_judged(space, delivered_at)
    wait = PROBLEM.target.label_delay + PROBLEM.prediction_lead
    assert wait == DAY + HOUR
    put_decisions(space.journal, ["needed", "had its time"], [1, 1], asked=delivered_at - wait)
    put_decisions(space.journal, ["had its time"], [1], asked=delivered_at - wait - timedelta(microseconds=1))
    assert needed_since(eager, now=moment) == delivered_at - wait
    clean(eager, now=moment)
    assert served_rows(space) == ["needed", "had its time"]
    assert needed_since(space, now=moment) == moment - 90 * DAY  # the settings spare more


def test_by_the_clock_on_the_wall_a_served_prediction_stays_while_outcomes_do_not_reach_its_time(space: Workspace):
    moment = now()
    outcomes_judged(space, moment - 2 * DAY, newest=moment - 40 * DAY)  # of last month: this month's come later
    outcomes_judged(space, moment - DAY, newest=moment - 70 * DAY)  # and a correction
    wall = with_settings(space, keep_days=0.0)
    wall = Workspace(wall.settings, workspaces.changed(PROBLEM, clock="wall"), space.journal)
    assert needed_since(wall, now=moment) == moment - 40 * DAY - DAY - HOUR
    assert needed_since(with_settings(space, keep_days=0.0), now=moment) == moment - DAY - DAY - HOUR  # replayed: its times say nothing


def test_a_version_in_shadow_is_kept_while_it_is(space: Workspace):
    assert REFUSED not in kept_versions(space, now=later())
    shadows.begin(space.journal, REFUSED, reason="a person wants to see it")
    assert REFUSED in kept_versions(space, now=later())
    shadows.end(space.journal, reason="seen")
    assert REFUSED not in kept_versions(space, now=later())


def test_before_any_outcome_was_delivered_no_served_prediction_goes(space: Workspace):
    put_decisions(space.journal, ["o1"], [1], asked=now() - 900 * DAY)
    assert needed_since(space, now=now()) is None
    assert "served" not in {one.kind for one in clean(with_settings(space, keep_days=0.0), now=now())}
    assert served_rows(space) == ["o1"]


KILLED_IN_THE_LOG = KILLED.replace("passed.append(point)", "passed.append(point) if 'of the log' in point else None").replace(
    "if len(passed) ==", "if 'of the log' in point and len(passed) =="
)


@pytest.mark.parametrize(("at", "left"), [(1, 2), (2, 0)])
def test_a_clean_up_that_is_killed_in_the_log_has_removed_all_or_nothing_and_said_so(space: Workspace, at: int, left: int):
    outcomes_judged(space, later())
    put_decisions(space.journal, ["o1", "o2"], [1, 1], asked=now() - DAY)
    words = [sys.executable, "-c", KILLED_IN_THE_LOG, str(space.settings.root), str(at)]
    done = subprocess.run(words, env={**os.environ, "PYTHONPATH": str(TESTS)}, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(served_rows(space)) == left
    assert len(space.journal.rows(tables.removals, kind="served")) == (0 if left else 1)
    clean(space, now=later())
    assert served_rows(space) == []
    assert len(space.journal.rows(tables.removals, kind="served")) == 1
