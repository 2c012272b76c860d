"""A version in shadow, with real processes: asked about all that is served, answering nobody, and in nobody's way."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from candidates import toy_candidate, toy_registry, toy_rows
from moves import BROKEN, four_versions, given
from serving import Served, served
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from toy.contract import PROBLEM
from waiting import PATIENCE, until

from evergreen import shadows
from evergreen.candidate import predicted
from evergreen.journal import mirror, shadowed
from evergreen.journal import served as log
from evergreen.journal import shadows as wishes
from evergreen.journal.mirror import Account
from evergreen.registry import Registry
from evergreen.shadows import Shadow

ROWS = toy_rows(range(20, 23))[list(PROBLEM.features)]
ASKED = json.loads(ROWS.to_json(orient="records"))
FUSSY = 5


@dataclass
class Live:
    """A server whose champion is version 1."""

    registry: Registry
    server: Served

    def ask(self, rows: list[dict[str, Any]] = ASKED) -> int:
        """Ask for predictions; the version that answered."""
        answer = self.server.ask("/predict", rows)
        assert answer.status == 200, answer
        return int(answer.told["model_version"])

    def shadow(self, version: int) -> Shadow:
        """Ask a version in shadow from now on."""
        shadows.end(self.registry.journal, reason="another test")
        self.look()
        until(lambda: self.in_shadow() is None)  # else the process of before would be taken for the one to come
        until(lambda: "evergreen_log_queue_rows 0.0" in self.server.ask("/metrics").body.decode())
        shadows.begin(self.registry.journal, version, reason="Asked for by a test.")
        found = shadows.newest(self.registry.journal)
        assert found is not None
        self.look()
        return found

    def evergreen(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).with_name("evergreen")
        return subprocess.run(
            [program, *words], env={**self.server.environment, **environment}, capture_output=True, text=True, check=False
        )

    def look(self) -> None:
        assert self.server.ask("/follow", method="POST").status == 202

    def account(self) -> Account:
        shadow = shadows.newest(self.registry.journal)
        return mirror.account(self.registry.journal, shadow.number, since=shadow.since) if shadow else Account(0, 0, 0, 0)

    def logged(self) -> int:
        return len(self.registry.journal.rows(log))

    def in_shadow(self) -> Any:
        return self.server.ask("/version").told["shadow_version"]

    def processes(self) -> list[psutil.Process]:
        """That which reads and writes for the version in shadow, and that which has the model."""
        return [one for one in self.server.workers if one.nice() >= 10]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    registry = four_versions(tmp_path_factory.mktemp("shadow") / "home")
    encode = make_column_transformer((OneHotEncoder(handle_unknown="error"), ["product"]), remainder="passthrough")
    assert registry.register(toy_candidate("fussy", estimator=make_pipeline(encode, LogisticRegression(max_iter=10_000)))).number == FUSSY
    given(registry, champion=1, previous=None, anchor=1)
    with served(registry.settings.root) as server:
        server.ready()
        yield Live(registry, server)
        code, _, err = server.end()
        assert (code, err) == (0, "")


def said_by(version: int) -> list[float]:
    return [float(one) for one in predicted(toy_candidate(f"version {version}", days=7 + version).estimator, ROWS)["probability"]]


def test_it_is_asked_about_what_is_served_from_then_on_and_nobody_is_answered_by_it(live: Live):
    live.ask()
    until(lambda: live.logged() == len(ROWS))
    shadow = live.shadow(2)
    assert shadow.since == live.logged()
    assert [live.ask() for _ in range(3)] == [1, 1, 1]
    until(lambda: live.account() == Account(scored=3 * len(ROWS), failed=0, dropped=0, waiting=0))
    pairs = list(mirror.pairs(live.registry.journal, shadow.number))
    assert {pair.version for pair in pairs} == {1}
    assert [json.loads(pair.answer)["probability"] for pair in pairs] == pytest.approx(3 * said_by(1), abs=1e-9)
    assert [json.loads(pair.shadow)["probability"] for pair in pairs] == pytest.approx(3 * said_by(2), abs=1e-9)
    assert live.in_shadow() == 2
    told = live.server.ask("/metrics").body.decode()
    assert "evergreen_shadow_version 2.0" in told
    assert "evergreen_shadow_waiting_rows 0.0" in told


def test_it_gets_what_the_machine_has_left(live: Live):
    live.ask()
    until(lambda: live.logged() > 0)  # who writes the log is there
    live.shadow(3)
    until(lambda: live.in_shadow() == 3)
    writes, thinks = sorted(live.processes(), key=lambda one: one.nice())
    assert (writes.nice(), thinks.nice()) == (10, 19)
    if sys.platform == "linux":  # no other system has these two
        assert [os.sched_getscheduler(one.pid) for one in (writes, thinks)] == [os.SCHED_OTHER, os.SCHED_IDLE]
        assert Path(f"/proc/{thinks.pid}/oom_score_adj").read_text() == "1000\n"
    assert [one.nice() for one in live.server.workers if one not in live.processes()] == [0, 0]


@pytest.mark.parametrize("which", [10, 19])
def test_a_process_of_it_that_is_killed_is_started_again_and_each_row_is_accounted_for_once(live: Live, which: int):
    shadow = live.shadow(2)
    until(lambda: live.in_shadow() == 2)
    live.ask()
    until(lambda: live.account().scored)
    (victim,) = [one for one in live.processes() if one.nice() == which]
    victim.kill()
    for _ in range(3):
        live.ask()
    until(lambda: live.account() == Account(4 * len(ROWS), 0, 0, 0), seconds=40)
    rows = [row["served"] for row in live.registry.journal.rows(shadowed, shadow=shadow.number)]
    assert rows == list(range(shadow.since + 1, shadow.since + 4 * len(ROWS) + 1))
    assert live.server.ask("/health/ready").told["status"] == "ready"


def test_a_version_that_fails_its_golden_rows_is_not_asked_and_the_journal_says_why(live: Live):
    live.shadow(BROKEN)
    why = until(lambda: shadows.ended(live.registry.journal))
    assert why.startswith(f"Version {BROKEN} cannot be asked in shadow: ")
    assert "golden" in why
    assert live.in_shadow() is None
    assert live.server.ask("/health/ready").told == {"status": "ready", "model_version": 1, "troubles": []}
    assert live.ask() == 1


def test_a_stored_model_that_was_changed_is_not_opened_for_the_shadow_either(live: Live):
    version = live.registry.version(3)
    tampered = next(path for path in sorted(live.registry.folder(version).rglob("*")) if path.is_file())
    before = tampered.read_bytes()
    tampered.write_bytes(before + b" ")
    try:
        live.shadow(3)
        why = until(lambda: shadows.ended(live.registry.journal))
    finally:
        tampered.write_bytes(before)
    assert why.startswith("Version 3 cannot be asked in shadow: ")
    assert "not what was registered" in why


def test_a_row_at_which_it_fails_is_written_down_as_such_and_the_others_have_their_answers(live: Live):
    shadow = live.shadow(FUSSY)
    live.ask([*ASKED[:40], {**ASKED[0], "product": "something new"}, *ASKED[40:80]])
    until(lambda: live.account() == Account(scored=80, failed=1, dropped=0, waiting=0))
    (fault,) = [row for row in live.registry.journal.rows(shadowed, shadow=shadow.number) if row["fault"]]
    assert (fault["served"], fault["answer"]) == (shadow.since + 41, None)
    assert "something new" in fault["fault"]


def test_the_command_begins_tells_and_ends(live: Live):
    shadows.end(live.registry.journal, reason="another test")
    begins = live.evergreen("shadow", "3", "--by", "Ada")
    assert (begins.returncode, begins.stderr) == (0, "")
    assert begins.stdout == "Version 3 is asked in shadow of version 1, from now on. How it does: evergreen shadow\n"
    until(lambda: live.in_shadow() == 3)
    live.ask(ASKED[:10])
    until(lambda: live.account().scored == 10)
    told = live.evergreen("shadow").stdout
    assert told.startswith("Version 3 is asked in shadow since ")
    assert "Asked for by Ada." in told
    assert "Predictions served meanwhile: 10; 10 answered." in told
    assert live.evergreen("shadow", "2", "--by", "Ada").stdout.startswith("Version 3 is not asked any more.\nVersion 2 is asked in shadow")
    assert live.evergreen("shadow", "--stop", "--by", "Grace").stdout.startswith("Version 2 is not asked in shadow any more.")
    assert "It has ended: Ended by Grace." in live.evergreen("shadow").stdout
    assert live.evergreen("shadow", "--stop").stdout == "No version is in shadow; nothing was recorded.\n"


@pytest.mark.parametrize(
    ("version", "told"), [("9", "There is no version 9; registered (the newest last): 1, 2, 3, 4, 5."), ("1", "Version 1 serves.")]
)
def test_who_cannot_be_asked_in_shadow_is_refused(live: Live, version: str, told: str):
    before = live.registry.journal.rows(wishes)
    ended = live.evergreen("shadow", version)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(told)
    assert live.registry.journal.rows(wishes) == before


def test_without_a_server_the_command_says_when_it_begins(live: Live):
    shadows.end(live.registry.journal, reason="another test")
    told = live.evergreen("shadow", "2", EVERGREEN_API_URL="http://127.0.0.1:9").stdout
    assert "No server answers at http://127.0.0.1:9 (ConnectError); it begins when one serves this home (make up, or make serve)." in told


def test_a_model_that_is_killed_while_rows_wait_costs_none_of_them_its_answer(live: Live):
    shadow = live.shadow(2)
    until(lambda: live.in_shadow() == 2)
    (writes,) = [one for one in live.processes() if one.nice() == 10]
    writes.suspend()  # until the rows are there, and the process with the model is not
    live.ask(ASKED[:4])
    until(lambda: live.account().waiting == 4)
    (thinks,) = [one for one in live.processes() if one.nice() == 19]
    thinks.kill()
    writes.resume()
    until(lambda: live.account() == Account(4, 0, 0, 0))
    assert live.in_shadow() == 2
    assert writes.is_running()
    assert not [row for row in live.registry.journal.rows(shadowed, shadow=shadow.number) if row["fault"]]


def test_what_keeps_a_version_from_being_asked_is_told(live: Live):
    folder = live.registry.folder(live.registry.version(3))
    folder.rename(folder.with_name("elsewhere"))
    try:
        live.shadow(3)
        trouble = until(lambda: live.server.ask("/version").told.get("shadow_trouble"))
        assert "missing" in trouble
        assert trouble in live.evergreen("shadow").stdout.replace("\n", " ")
        assert live.server.ask("/health/ready").told["status"] == "ready"
    finally:
        folder.with_name("elsewhere").rename(folder)
    until(lambda: live.in_shadow() == 3, seconds=40)
    assert "shadow_trouble" not in live.server.ask("/version").told


def test_asked_no_more_its_processes_end(live: Live):
    live.shadow(2)
    until(lambda: live.in_shadow() == 2)
    processes = live.processes()
    shadows.end(live.registry.journal, reason="Ended by a test.")
    live.look()
    until(lambda: live.in_shadow() is None)
    assert psutil.wait_procs(processes, timeout=PATIENCE)[1] == []
    before, logged = live.account(), live.logged()
    live.ask()
    until(lambda: live.logged() > logged)
    time.sleep(0.6)
    assert live.account() == before


def test_one_that_becomes_champion_is_in_shadow_no_more(live: Live):
    live.shadow(2)
    until(lambda: live.in_shadow() == 2)
    given(live.registry, champion=2, previous=1, anchor=1, move="the shadow is promoted")
    live.look()
    assert until(lambda: shadows.ended(live.registry.journal)) == "Version 2 is the champion now."
    given(live.registry, champion=1, previous=2, anchor=1, move="and back")
    live.look()
    until(lambda: live.server.ask("/version").told["model_version"] == 1)


def test_the_server_leaves_nothing_of_it_behind(tmp_path: Path):
    registry = toy_registry(tmp_path / "home")
    for number in (1, 2):
        registry.register(toy_candidate(f"version {number}", days=7 + number))
    given(registry, champion=1, previous=None, anchor=1)
    shadows.begin(registry.journal, 2, reason="Asked for by a test.")
    with served(registry.settings.root) as server:
        until(lambda: server.ready() and server.ask("/version").told["shadow_version"] == 2, seconds=40)
        family = server.workers
        server.process.kill()
        assert psutil.wait_procs(family, timeout=PATIENCE)[1] == []
