"""The image's first process: secrets from files, then the command that it was given."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENTRYPOINT = ROOT / "deploy" / "entrypoint"
WORD = "open:ses@me/100% $HOME `id` \"'"


def enter(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    bare = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run([ENTRYPOINT, *words], env=bare, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with a secret in it."""
    path = tmp_path / "my key"
    path.write_text(f"{WORD}\n")
    return path


def test_a_secret_comes_from_its_file_as_it_stands_there(file: Path):
    ended = enter("sh", "-c", 'printf %s "$EVERGREEN_API_KEY"', EVERGREEN_API_KEY_FILE=str(file))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, WORD, "")


def test_the_name_of_the_file_is_taken_away_for_it_is_no_setting(file: Path):
    ended = enter("sh", "-c", 'echo "${EVERGREEN_API_KEY_FILE-none}"', EVERGREEN_API_KEY_FILE=str(file))
    assert ended.stdout == "none\n"


@pytest.mark.parametrize("name", ["EVERGREEN_ALERT_URLS", "EVERGREEN_HEARTBEAT_URL"])
def test_a_file_that_may_be_empty_is_as_if_nobody_had_named_it(tmp_path: Path, name: str):
    (tmp_path / "empty").write_text("\n")
    ended = enter("sh", "-c", f'echo "${{{name}-none}} ${{{name}_FILE-none}}"', **{f"{name}_FILE": str(tmp_path / "empty")})
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "none none\n", "")


def test_without_files_the_command_finds_what_was_given():
    ended = enter("sh", "-c", 'echo "$EVERGREEN_API_KEY"', EVERGREEN_API_KEY="given", EVERGREEN_API_KEY_FILE="")
    assert (ended.returncode, ended.stdout) == (0, "given\n")


def test_the_command_takes_the_place_of_the_script_so_that_signals_reach_it():
    with subprocess.Popen([ENTRYPOINT, "sh", "-c", "echo $$; exit 7"], stdout=subprocess.PIPE, text=True) as process:
        said, _ = process.communicate(timeout=30)
    assert (said, process.returncode) == (f"{process.pid}\n", 7)


def test_words_are_handed_on_as_they_are():
    assert enter("printf", "%s|", "two words", "*", "").stdout == "two words|*||"


def test_a_variable_that_is_no_secret_of_ours_keeps_the_name_of_its_file(file: Path):
    ended = enter("sh", "-c", 'echo "${SSL_CERT-none} $SSL_CERT_FILE"', SSL_CERT_FILE=str(file))
    assert ended.stdout == f"none {file}\n"


@pytest.mark.parametrize("name", ["EVERGREEN_JOURNAL_URL", "MLFLOW_BACKEND_STORE_URI", "AWS_SECRET_ACCESS_KEY"])
def test_both_at_once_are_refused_and_neither_is_told(file: Path, name: str):
    ended = enter("env", **{name: "given-directly", f"{name}_FILE": str(file)})
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == f"{name} and {name}_FILE are both set. Keep one of them.\n"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    ended = enter("env", EVERGREEN_API_KEY_FILE=str(tmp_path / "absent"))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "EVERGREEN_API_KEY_FILE: got " in ended.stderr
    assert "which is no file" in ended.stderr


def test_an_empty_file_is_refused(file: Path):
    file.write_text("\n")
    ended = enter("env", EVERGREEN_API_KEY_FILE=str(file))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "is empty" in ended.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(file: Path):
    file.chmod(0)
    ended = enter("env", EVERGREEN_API_KEY_FILE=str(file))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"may not be read by uid {os.geteuid()}" in ended.stderr
