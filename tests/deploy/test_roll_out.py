"""An image on a host, and a person's decision on a model: what cd.yml calls, with a `docker` that writes down what it is told."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from actions import ROOT, put_program
from commands import TESTS

OLD, NEW = (f"ghcr.io/someone/flights@sha256:{digit * 64}" for digit in "ab")
DOCKER = f"""#!{sys.executable}
# A host with one deployment; the image that runs stands in the file `running`, how it is composed in `composed`. It fails at what FAIL
# says, with that image. An image's commit stands in the file `commit-` and the end of its name, its compose.yaml, if any, in `compose-`.
import os, sys
from pathlib import Path

words, place = sys.argv[1:], Path(os.environ["PLACE"])
image, running = os.environ.get("EVERGREEN_IMAGE", ""), place / "running"
if words[0] == "run":
    image = next((word for word in words if "@sha256:" in word), "")
with (place / "calls").open("a") as calls:
    calls.write(" ".join([image[-4:], *words]) + chr(10))
if words[:2] == ["compose", "ps"]:
    print("c0ffee" if running.exists() else "")
elif words[0] == "inspect":
    named = running.read_text() if words[-1] == "c0ffee" else words[-1]
    print((place / ("commit-" + named[-4:])).read_text() if "revision" in words[2] else named)
elif words[0] == "run" and "cat" in words:
    sys.exit(print((place / ("compose-" + image[-4:])).read_text()) if (place / ("compose-" + image[-4:])).exists() else 1)
elif words[0] == "run":
    sys.exit(int(os.environ.get("WANTS", "0")))
elif words[0] == "compose" and "up" in words:
    running.write_text(image)
    files = [after for word, after in zip(words, words[1:]) if word == "--file"]
    (place / "composed").write_text(chr(10).join(Path(file).read_text().strip() for file in files) or "as in the checkout")
if os.environ["FAIL"] in " ".join(words) and image and image in os.environ["FAILS_WITH"]:
    sys.exit(1)
"""


class Host:
    def __init__(self, root: Path) -> None:
        self.root = root
        put_program(root / "bin" / "docker", DOCKER)
        (root / "secrets").mkdir()
        (root / "secrets" / "postgres_password").write_text("known")
        for image in (OLD, NEW):
            (root / f"commit-{image[-4:]}").write_text("unknown")

    def call(self, script: str, *words: str, fail: str = "nothing", **environment: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}"
        told = {"PATH": path, "PLACE": str(self.root), "FAIL": fail, "FAILS_WITH": NEW, "EVERGREEN_SECRETS": str(self.root / "secrets")}
        command = [ROOT / "deploy" / script, *words]
        return subprocess.run(command, env=told | environment, cwd=self.root, capture_output=True, text=True, check=False, timeout=60)

    @property
    def runs(self) -> str | None:
        file = self.root / "running"
        return file.read_text() if file.exists() else None

    @property
    def calls(self) -> list[str]:
        file = self.root / "calls"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_an_image_that_stands_the_test_runs(host):
    done = host.call("roll-out", NEW)
    assert (done.returncode, host.runs) == (0, NEW)
    assert f"{NEW} runs here." in done.stdout
    asked = [call.partition(" ")[2] for call in host.calls]
    assert asked.index("compose pull --quiet") < next(at for at, call in enumerate(asked) if "compose up" in call)
    assert asked[-1] == "compose exec -T runner evergreen smoke"
    assert (host.root / "composed").read_text() == "as in the checkout"


def test_what_is_put_back_is_composed_as_it_was_made_with_what_this_host_adds(host):
    (host.root / "running").write_text(OLD)
    (host.root / f"compose-{OLD[-4:]}").write_text("the old composition")
    (host.root / "compose.override.yaml").write_text("this host's own")
    assert host.call("roll-out", NEW, fail="evergreen smoke").returncode == 1
    assert (host.runs, (host.root / "composed").read_text()) == (OLD, "the old composition\nthis host's own")


def test_an_image_from_before_that_carries_no_composition_is_put_back_with_the_checkouts(host):
    (host.root / "running").write_text(OLD)
    assert host.call("roll-out", NEW, fail="evergreen smoke").returncode == 1
    assert (host.runs, (host.root / "composed").read_text()) == (OLD, "as in the checkout")


@pytest.mark.parametrize(("problem", "code", "scale"), [("toy.contract:PROBLEM", 3, 0), ("toy.online:PROBLEM", 0, 1), ("nowhere:X", 1, 1)])
def test_a_problem_without_an_api_is_rolled_out_without_one(host, problem, code, scale):
    (asked,) = re.findall(r"WANTS_API='(.*?)'", (ROOT / "deploy" / "roll-out").read_text(), re.DOTALL)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(TESTS), "EVERGREEN_PROBLEM": problem}
    done = subprocess.run([sys.executable, "-c", asked], cwd=host.root, env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == code
    assert host.call("roll-out", NEW, WANTS=str(code)).returncode == 0
    assert [call.endswith(f"--scale api={scale}") for call in host.calls if "compose up" in call] == [True]


@pytest.mark.parametrize(
    ("runs", "comes", "back", "code"),
    [
        ("newer", "older", "", 1),
        ("newer", "older", "yes", 0),
        ("older", "newer", "", 0),
        ("newer", "newer", "", 0),
        ("newer", "other", "", 0),
    ],
)
def test_an_image_that_is_older_than_what_runs_is_refused_unless_a_person_wants_it(host, runs, comes, back, code):
    def git(*words: str) -> str:
        named = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", *named, *words], cwd=host.root, capture_output=True, text=True, timeout=60, check=True).stdout.strip()

    git("init", "--quiet")
    commits = {}
    for name in ("older", "newer"):
        git("commit", "--quiet", "--allow-empty", "-m", name)
        commits[name] = git("rev-parse", "HEAD")
    commits["other"] = "0" * 40
    (host.root / "running").write_text(OLD)
    (host.root / f"commit-{OLD[-4:]}").write_text(commits[runs])
    (host.root / f"commit-{NEW[-4:]}").write_text(commits[comes])
    done = host.call("roll-out", NEW, BACK=back)
    assert (done.returncode, host.runs) == (code, OLD if code else NEW)
    assert ("which is older than" in done.stderr) is bool(code)


@pytest.mark.parametrize("fail", ["evergreen smoke", "compose up"])
def test_where_the_new_image_fails_the_one_before_is_put_back(host, fail):
    (host.root / "running").write_text(OLD)
    done = host.call("roll-out", NEW, fail=fail)
    assert (done.returncode, host.runs) == (1, OLD)
    assert f"{OLD} runs here again" in done.stderr
    assert [call for call in host.calls if "evergreen smoke" in call][-1].startswith(OLD[-4:])


@pytest.mark.parametrize("fail", ["evergreen smoke", "compose up"])
def test_where_the_one_before_does_not_stand_the_test_any_more_it_is_said(host, fail):
    (host.root / "running").write_text(OLD)
    done = host.call("roll-out", NEW, fail=fail, FAILS_WITH=f"{NEW} {OLD}")
    assert done.returncode == 1
    assert f"{OLD} does not stand it any more" in done.stderr


def test_an_image_that_cannot_be_pulled_leaves_what_runs_alone(host):
    (host.root / "running").write_text(OLD)
    done = host.call("roll-out", NEW, fail="compose pull")
    assert (done.returncode != 0, host.runs) == (True, OLD)
    assert not [call for call in host.calls if "compose up" in call]


def test_the_first_image_that_fails_is_told_and_nothing_is_put_back(host):
    done = host.call("roll-out", NEW, fail="evergreen smoke")
    assert done.returncode == 1
    assert "there is none from before" in done.stderr
    assert len([call for call in host.calls if " up --detach" in call]) == 1


def test_files_that_may_be_empty_are_made_where_the_version_before_had_none_and_nothing_else_is(host):
    assert host.call("roll-out", NEW).returncode == 0
    found = {file.name: file.read_text() for file in (host.root / "secrets").iterdir()}
    assert found == {"postgres_password": "known", "alert_urls": "", "heartbeat_url": ""}


@pytest.mark.parametrize("folder", ["secrets", "no such folder"])
def test_a_host_without_secrets_gets_none_from_a_roll_out_and_keeps_what_runs(host, folder):
    (host.root / "secrets" / "postgres_password").unlink()
    done = host.call("roll-out", NEW, EVERGREEN_SECRETS=str(host.root / folder))
    assert done.returncode == 1
    assert f"{host.root / folder} has no secrets. Set EVERGREEN_SECRETS" in done.stderr
    assert (host.calls, host.runs) == ([], None)
    assert not list((host.root / "secrets").iterdir())


def test_an_image_by_its_tag_is_refused(host):
    done = host.call("roll-out", "ghcr.io/someone/flights:main")
    assert (done.returncode, host.calls) == (2, [])
    assert "expected an image by its digest" in done.stderr


def test_a_promotion_is_recorded_as_the_decision_of_who_asked(host):
    told = {"ACTION": "promote", "VERSION": "7", "REASON": "looked at; it's fine $(date)", "GITHUB_ACTOR": "ann"}
    done = host.call("decide", sys.executable, "-c", "import sys; print(sys.argv[1:])", **told)
    assert done.stdout == "['promote', '7', '--reason', \"looked at; it's fine $(date)\", '--by', 'ann']\n"


def test_so_is_a_rollback(host):
    done = host.call("decide", "echo", ACTION="rollback", REASON="people complain", GITHUB_ACTOR="ann")
    assert done.stdout == "rollback --reason people complain --by ann\n"


@pytest.mark.parametrize(
    ("told", "missing"),
    [
        ({"ACTION": "promote", "VERSION": "", "REASON": "good"}, "VERSION: which version"),
        ({"ACTION": "promote", "VERSION": "7", "REASON": ""}, "REASON: why"),
        ({"ACTION": "rollback", "REASON": ""}, "REASON: why"),
        ({"ACTION": "freeze", "REASON": ""}, "REASON: why"),
        ({"ACTION": ""}, "ACTION: promote, rollback, freeze or unfreeze"),
        ({"ACTION": "delete", "REASON": "x"}, "ACTION: got delete; expected promote, rollback, freeze or unfreeze."),
    ],
)
def test_a_decision_that_lacks_something_is_not_made(host, told, missing):
    done = host.call("decide", "echo", **told)
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert missing in done.stderr


def test_a_command_in_the_image_has_no_rights_and_shows_no_secret(host):
    (host.root / "out").mkdir()
    done = host.call("in-image", "out", "deploy/turn", "/out", EVERGREEN_JOURNAL_URL="postgresql://secret")
    assert done.returncode == 0
    (call,) = host.calls
    assert "secret" not in call
    assert "--env EVERGREEN_JOURNAL_URL " in call
    for right in ("--read-only", "--cap-drop ALL", "--security-opt no-new-privileges", f"--user {os.getuid()}:{os.getgid()}"):
        assert right in call
    assert f"--volume {host.root / 'out'}:/out" in call
    assert call.endswith("evergreen:latest deploy/turn /out")
