import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from file_names import TAKES_ANY_BYTES
from moves import four_versions, given

from evergreen import journal as tables
from evergreen.archives import MANIFEST
from evergreen.backups import back_up, restore
from evergreen.errors import BusyError, RefusedError, StoreError
from evergreen.files import lock
from evergreen.journal import Journal
from evergreen.journal.tables import SCHEMA
from evergreen.settings import Settings

NOW = datetime(2026, 6, 1, 3, 0, tzinfo=UTC)
TESTS = Path(__file__).parents[1]


def settings_of(home: Path, **values: Any) -> Settings:
    return Settings(_env_file=None, home=home, **values)


def contents(root: Path) -> dict[str, bytes]:
    """The files of a home that matter; the databases by what they say."""
    files = {str(path.relative_to(root)): path for path in sorted(root.rglob("*")) if path.is_file() and not path.name.startswith(".")}
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith(("journal.db", "mlflow.db"))}


def said(database: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
        return list(opened.iterdump())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which version 2 serves and version 1 did before; its registry is closed, and nobody changes it."""
    root = tmp_path_factory.mktemp("backups") / "home"
    registry = four_versions(root)
    given(registry, champion=1, previous=None, anchor=1, move="first")
    given(registry, champion=2, previous=1, anchor=1, move="second")
    registry.journal.close()
    for name in ("landing/orders/a.csv", "batches/orders/b.parquet", "evidence/k/holdout.parquet", "quarantine/orders/c/reason.json"):
        write(root / name, name)
    for name in ("predictions/dt=2026-01-05/current.json", "site/index.html", "expectations/orders.json", "mlartifacts/0/.kept"):
        write(root / name, name)
    for name in (
        "backtest/x.npz",
        "cache/model/x",
        "prefect/prefect.db",
        ".command.lock",
        "predictions/dt=2026-01-05/.a.parquet.12.tmp",
        "landing/.b.csv",
    ):
        write(root / name, "left out")
    return root


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(scope="module")
def archive(home: Path) -> Path:
    file = home.parent / "archive.zip"
    back_up(settings_of(home), "toy", file, now=NOW)
    return file


@pytest.fixture
def wiped(home: Path, archive: Path) -> Iterator[Path]:
    """The home's place with nothing in it, as after a disk was lost; afterwards everything is as before."""
    away = home.rename(home.with_name("away"))
    yield home
    shutil.rmtree(home, ignore_errors=True)
    away.rename(home)


def beside(home: Path) -> set[str]:
    return {path.name for path in home.parent.iterdir()} - {".home.restore.lock"}


def test_a_home_comes_back_as_it_was(wiped: Path, archive: Path):
    away = wiped.with_name("away")
    told = restore(settings_of(wiped), "toy", archive)
    kept = {name: text for name, text in contents(away).items() if not name.startswith(("backtest/", "cache/", "prefect/"))}
    assert contents(wiped) == kept
    assert {"landing/orders/a.csv", "site/index.html", "predictions/dt=2026-01-05/current.json"} <= set(kept)
    assert (wiped / "mlartifacts" / "0" / ".kept").exists()
    assert not (wiped / "landing" / ".b.csv").exists()
    for database in ("journal.db", "mlflow.db"):
        assert said(wiped / database) == said(away / database)
    assert told.files == len(kept) + 3  # the databases, and the hidden file of a model
    assert beside(wiped) == {"home", "away", "archive.zip"}


SERVED = """
import sys
from pathlib import Path
from candidates import toy_registry
from evergreen.prediction import reproduce_golden
from evergreen.promotion import reconcile, rollback, standing

if __name__ == "__main__":
    registry = toy_registry(Path(sys.argv[1]))
    now = standing(registry.journal)
    assert (now.champion, now.previous, now.anchor) == (2, 1, 1), now
    assert reconcile(registry) == []
    reproduce_golden(registry, registry.version(2))
    print(rollback(registry, reason="looks wrong", person="ann"), registry.aliases()["champion"])
"""


def test_after_a_restore_the_champion_answers_as_it_did_and_can_be_rolled_back_from(wiped: Path, archive: Path):
    restore(settings_of(wiped), "toy", archive)
    # In a process of its own, as after a disk was lost: MLflow here still holds the database that was moved away.
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    words = [sys.executable, "-c", SERVED, str(wiped)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["1", "1"]), done.stderr


def test_a_delivery_keeps_the_time_by_which_it_is_known(wiped: Path, archive: Path):
    restore(settings_of(wiped), "toy", archive)
    name = "landing/orders/a.csv"
    assert (wiped / name).stat().st_mtime_ns == (wiped.with_name("away") / name).stat().st_mtime_ns


def test_the_manifest_says_what_the_archive_is_of(home: Path, archive: Path):
    with zipfile.ZipFile(archive) as opened:
        manifest = json.loads(opened.read(MANIFEST))
    assert {name: manifest[name] for name in ("problem", "home", "made_at", "journal_schema")} == {
        **{"problem": "toy", "home": str(home), "made_at": "2026-06-01T03:00:00+00:00"},
        "journal_schema": SCHEMA,
    }


def test_a_journal_that_others_write_to_is_copied_whole(tmp_path: Path):
    root, stop = tmp_path / "home", threading.Event()
    journal = Journal(settings_of(root).journal)

    def write_on() -> None:
        number = 0
        while not stop.is_set():
            pair = [(tables.snapshots, {"snapshot": f"{number} {half}", "batches": {}}) for half in "ab"]
            journal.add_all(pair)
            number += 1

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        for number in range(3):
            back_up(settings_of(root), "toy", tmp_path / f"{number}.zip", now=NOW)
    finally:
        stop.set()
        writer.join()
    journal.close()
    root.rename(tmp_path / "away")
    restore(settings_of(root), "toy", tmp_path / "2.zip")
    again = Journal(settings_of(root).journal)
    names = [row["snapshot"] for row in again.rows(tables.snapshots)]
    again.close()
    assert len(names) >= 2
    assert names == [f"{number} {half}" for number in range(len(names) // 2) for half in "ab"]


def test_a_linked_folder_is_kept_as_the_files_that_it_leads_to(tmp_path: Path):
    root, disk = tmp_path / "home", tmp_path / "disk"
    Journal(settings_of(root).journal).close()
    write(disk / "orders" / "a.csv", "from the other disk")
    (disk / "round").symlink_to(disk)
    (root / "landing").symlink_to(disk)
    back_up(settings_of(root), "toy", tmp_path / "a.zip", now=NOW)
    root.rename(tmp_path / "away")
    restore(settings_of(root), "toy", tmp_path / "a.zip")
    assert not (root / "landing").is_symlink()
    assert (root / "landing" / "orders" / "a.csv").read_text() == "from the other disk"


def test_an_empty_folder_in_the_homes_place_is_no_home(wiped: Path, archive: Path):
    wiped.mkdir()
    restore(settings_of(wiped), "toy", archive)
    assert (wiped / "journal.db").exists()


def test_an_existing_home_is_not_overwritten(home: Path, archive: Path):
    before = contents(home)
    with pytest.raises(RefusedError, match=r"There is something in .*home already.*Move it away"):
        restore(settings_of(home), "toy", archive)
    assert contents(home) == before


def test_another_problems_backup_is_refused(wiped: Path, archive: Path):
    with pytest.raises(RefusedError, match="is a backup of the problem 'toy', this contract is 'flights'"):
        restore(settings_of(wiped), "flights", archive)
    assert not wiped.exists()


def test_another_homes_backup_is_refused_with_the_place_where_it_fits(home: Path, archive: Path, tmp_path: Path):
    with pytest.raises(RefusedError, match=rf"this one is {tmp_path}/new.*set EVERGREEN_HOME={home}"):
        restore(settings_of(tmp_path / "new"), "toy", archive)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("setting", ["journal_url", "mlflow_uri"])
@pytest.mark.parametrize(("address", "cure"), [("postgresql://db/evergreen", "own tools"), ("sqlite:////elsewhere/x.db", "own tools")])
def test_what_is_not_in_the_home_is_not_backed_up_as_if_it_were(home: Path, archive: Path, setting: str, address: str, cure: str):
    settings = settings_of(home, **{setting: address})
    name = "journal" if setting == "journal_url" else "MLflow"
    for refused in (lambda: back_up(settings, "toy", archive, now=NOW), lambda: restore(settings, "toy", archive)):
        with pytest.raises(RefusedError, match=rf"The {name} is not in the home .*{cure}"):
            refused()


def test_the_sentence_for_postgresql_names_its_tool(home: Path, archive: Path):
    with pytest.raises(RefusedError, match="pg_dump"):
        back_up(settings_of(home, journal_url="postgresql://db/evergreen"), "toy", archive, now=NOW)


def test_where_there_is_no_home_there_is_nothing_to_back_up(tmp_path: Path):
    with pytest.raises(RefusedError, match=r"There is nothing to back up: .*no journal\.db"):
        back_up(settings_of(tmp_path / "none"), "toy", tmp_path / "a.zip", now=NOW)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["home/a.zip", "README.md"])
def test_an_archive_does_not_lie_in_the_home_nor_take_the_place_of_something_else(home: Path, name: str):
    with pytest.raises(RefusedError, match=r"expected a file named \*\.zip outside of the home"):
        back_up(settings_of(home), "toy", home.parent / name, now=NOW)


def test_one_backup_at_a_time(home: Path, tmp_path: Path):
    with lock(home / ".backup.lock", holder="me"), pytest.raises(BusyError, match="busy with a backup"):
        back_up(settings_of(home), "toy", tmp_path / "a.zip", now=NOW)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_database_is_told_and_no_archive_is_left(tmp_path: Path):
    root = tmp_path / "home"
    Journal(settings_of(root).journal).close()
    with closing(sqlite3.connect(root / "mlflow.db")) as database, database:
        database.execute("CREATE TABLE t (a TEXT)")
        database.executemany("INSERT INTO t VALUES (?)", [("x" * 500,)] * 500)
    content = bytearray((root / "mlflow.db").read_bytes())
    content[8192:16384] = os.urandom(8192)
    (root / "mlflow.db").write_bytes(content)
    with pytest.raises(StoreError, match=r"mlflow\.db .*(damaged|cannot be copied)"):
        back_up(settings_of(root), "toy", tmp_path / "a.zip", now=NOW)
    assert {path.name for path in tmp_path.iterdir()} == {"home"}


def rewritten(archive: Path, to: Path, change: Callable[[dict[str, Any], dict[str, bytes]], list[tuple[Any, bytes]] | None]) -> Path:
    """The archive with its manifest and its files changed; what `change` returns is added beside them."""
    with zipfile.ZipFile(archive) as old:
        files = {name: old.read(name) for name in old.namelist() if name != MANIFEST}
        manifest = json.loads(old.read(MANIFEST))
    more = change(manifest, files) or []
    with zipfile.ZipFile(to, "w") as new:
        for name, content in [*files.items(), *more]:
            new.writestr(name, content)
        new.writestr(MANIFEST, json.dumps(manifest))
    return to


def listed(manifest: dict[str, Any], name: str) -> None:
    manifest["files"][name] = {"sha256": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae", "bytes": 3, "mtime_ns": 0}


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    "name",
    ["../outside", "/outside", "site/../../outside", "a\\..\\b", "./site/x", "site//x", "%2E%2E/outside", "%2Foutside", "%61/x", "a\nb"],
)
def test_a_file_that_would_lie_outside_the_home_is_refused(wiped: Path, archive: Path, tmp_path: Path, name: str):
    def add(manifest: dict[str, Any], _: dict[str, bytes]) -> list[tuple[Any, bytes]]:
        listed(manifest, name)
        return [(name, b"foo")]

    with pytest.raises(StoreError, match="which is no plain file below a home"):
        restore(settings_of(wiped), "toy", rewritten(archive, tmp_path / "bad.zip", add))
    assert not (wiped.parent / "outside").exists()
    assert beside(wiped) == {"away", "archive.zip"}


@pytest.mark.parametrize("info", [link("site/link"), zipfile.ZipInfo("site/folder/")])
def test_a_link_or_a_folder_is_refused(wiped: Path, archive: Path, tmp_path: Path, info: zipfile.ZipInfo):
    def add(manifest: dict[str, Any], _: dict[str, bytes]) -> list[tuple[Any, bytes]]:
        listed(manifest, info.filename)
        return [(info, b"foo")]

    with pytest.raises(StoreError, match="which is no plain file below a home"):
        restore(settings_of(wiped), "toy", rewritten(archive, tmp_path / "bad.zip", add))
    assert not wiped.exists()


def changed_byte(_: dict[str, Any], files: dict[str, bytes]) -> None:
    files["site/index.html"] = b"S" + files["site/index.html"][1:]


def longer(_: dict[str, Any], files: dict[str, bytes]) -> None:
    files["site/index.html"] += b"more"


def gone(_: dict[str, Any], files: dict[str, bytes]) -> None:
    del files["site/index.html"]


def unlisted(manifest: dict[str, Any], _: dict[str, bytes]) -> None:
    del manifest["files"]["site/index.html"]


def broken_database(manifest: dict[str, Any], files: dict[str, bytes]) -> None:
    files["journal.db"] = b"foo"
    listed(manifest, "journal.db")


def of_another_format(manifest: dict[str, Any], _: dict[str, bytes]) -> None:
    manifest["format"] = 2


def without_facts(manifest: dict[str, Any], _: dict[str, bytes]) -> None:
    manifest["files"] = list(manifest["files"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed_byte, "site/index.html in .* is damaged"),
        (longer, "site/index.html in .* is damaged"),
        (gone, "does not hold what its manifest says: site/index.html"),
        (unlisted, "does not hold what its manifest says: site/index.html"),
        (broken_database, "The database journal.db is damaged"),
        (of_another_format, "is a backup of format 2; expected 1"),
        (without_facts, "is no whole backup"),
    ],
)
def test_a_backup_that_is_not_what_was_written_is_refused_and_nothing_is_left(
    wiped: Path, archive: Path, tmp_path: Path, change: Any, words: str
):
    with pytest.raises(StoreError, match=words):
        restore(settings_of(wiped), "toy", rewritten(archive, tmp_path / "bad.zip", change))
    assert beside(wiped) == {"away", "archive.zip"}


@pytest.mark.parametrize("part", [0, 100, 0.5, 0.99])
def test_a_backup_that_is_cut_off_is_refused(wiped: Path, archive: Path, tmp_path: Path, part: float):
    content = archive.read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(content[: int(part if part > 1 else part * len(content))])
    with pytest.raises(StoreError, match="is no whole backup"):
        restore(settings_of(wiped), "toy", cut)
    assert not wiped.exists()


def test_a_backup_that_is_not_there_is_told(wiped: Path, tmp_path: Path):
    with pytest.raises(StoreError, match=r"There is no .*none\.zip"):
        restore(settings_of(wiped), "toy", tmp_path / "none.zip")


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from evergreen import faults
from evergreen.backups import back_up, restore
from evergreen.settings import Settings

def kill(point):
    if point.startswith(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)

faults.arm(kill)
settings, file = Settings(_env_file=None, home=Path(sys.argv[2])), Path(sys.argv[3])
back_up(settings, "toy", file, now=datetime.now(UTC)) if sys.argv[1] == "backup" else restore(settings, "toy", file)
"""


def killed(what: str, home: Path, file: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, what, str(home), str(file)], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL


def test_of_a_backup_that_is_killed_nothing_is_visible_and_an_earlier_one_stays(home: Path, tmp_path: Path):
    killed("backup", home, tmp_path / "a.zip")
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == []
    first = back_up(settings_of(home), "toy", tmp_path / "a.zip", now=NOW)
    before = first.path.read_bytes()
    killed("backup", home, tmp_path / "a.zip")
    assert first.path.read_bytes() == before


def test_of_a_restore_that_is_killed_there_is_no_home_and_again_it_comes_back(wiped: Path, archive: Path):
    killed("restore", wiped, archive)
    assert not wiped.exists()
    restore(settings_of(wiped), "toy", archive)
    assert (wiped / "journal.db").exists()
    assert beside(wiped) == {"home", "away", "archive.zip"}


ODD = (
    b"a\\b.csv",
    *([b"gr\xfcn.csv"] if TAKES_ANY_BYTES else []),
    "café.csv".encode(),
    b"100%.csv",
    b"gr%FCn.csv",
    b"line\nbreak.csv",
    b"\x1b[31mred.csv",
    b"x..%2F..%2Fx",
)


def test_files_with_names_that_cannot_be_shown_come_back_byte_by_byte(tmp_path: Path):
    root = tmp_path / "home"
    folder = root / "landing" / "orders"
    Journal(settings_of(root).journal).close()
    folder.mkdir(parents=True)
    for name in ODD:
        (folder / os.fsdecode(name)).write_bytes(b"in " + name)
    made = back_up(settings_of(root), "toy", tmp_path / "a.zip", now=NOW)
    root.rename(tmp_path / "away")
    assert restore(settings_of(root), "toy", made.path).files == len(ODD) + 1
    assert {os.fsencode(path.name): path.read_bytes() for path in folder.iterdir()} == {name: b"in " + name for name in ODD}


def test_an_archive_from_before_names_were_escaped_is_restored_with_its_names_as_they_are(wiped: Path, archive: Path, tmp_path: Path):
    def older(manifest: dict[str, Any], _: dict[str, bytes]) -> list[tuple[Any, bytes]]:
        del manifest["names"]
        listed(manifest, "landing/orders/100%25.csv")
        return [("landing/orders/100%25.csv", b"foo")]

    restore(settings_of(wiped), "toy", rewritten(archive, tmp_path / "older.zip", older))
    assert (wiped / "landing" / "orders" / "100%25.csv").read_bytes() == b"foo"
    assert (wiped / "landing" / "orders" / "a.csv").exists()


def test_a_pipe_in_a_landing_folder_does_not_hold_up_a_backup(tmp_path: Path):
    root = tmp_path / "home"
    Journal(settings_of(root).journal).close()
    os.mkfifo(root / "pipe.csv")
    assert back_up(settings_of(root), "toy", tmp_path / "a.zip", now=NOW).files == 1


def test_a_pointer_that_moves_during_a_backup_names_a_file_that_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root, opened = tmp_path / "home", zipfile.ZipFile.open
    folder = root / "predictions" / "dt=2026-01-05"
    Journal(settings_of(root).journal).close()

    def publish(name: str) -> None:
        write(folder / name, name)
        write(folder / "current.json", json.dumps({"path": name}))

    def open_and_publish(self: zipfile.ZipFile, name: Any, *words: Any, **options: Any) -> Any:
        if "predictions/" in str(name) and not (folder / "b.parquet").exists():
            publish("b.parquet")
            write(root / "predictions" / "dt=2026-01-06" / "current.json", json.dumps({"path": "c.parquet"}))
        return opened(self, name, *words, **options)

    publish("a.parquet")
    with monkeypatch.context() as patched:
        patched.setattr(zipfile.ZipFile, "open", open_and_publish)
        back_up(settings_of(root), "toy", tmp_path / "a.zip", now=NOW)
    assert (folder / "b.parquet").exists()
    root.rename(tmp_path / "away")
    restore(settings_of(root), "toy", tmp_path / "a.zip")
    pointers = list(root.glob("predictions/*/current.json"))
    assert len(pointers) == 1
    assert all((pointer.parent / json.loads(pointer.read_text())["path"]).is_file() for pointer in pointers)
