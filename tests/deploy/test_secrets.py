"""What `make secrets` makes."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
YOURS = {"alert_urls", "heartbeat_url"}
"""What nobody can make up."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the script in its place."""
    (tmp_path / "deploy").mkdir()
    shutil.copy(ROOT / "deploy" / "secrets", tmp_path / "deploy" / "secrets")
    return tmp_path


def make(project: Path) -> str:
    made = subprocess.run([project / "deploy" / "secrets"], capture_output=True, text=True, timeout=60, check=True)
    return made.stdout


def make_anew(project: Path, name: str) -> str:
    (project / "secrets" / name).unlink(missing_ok=True)
    return make(project)


def contents(project: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in (project / "secrets").iterdir()}


def test_every_secret_of_the_composition_is_made(project: Path):
    make(project)
    assert contents(project).keys() == yaml.safe_load((ROOT / "compose.yaml").read_text())["secrets"].keys()


def test_no_two_are_alike_and_the_addresses_carry_the_passwords(project: Path):
    make(project)
    found = {name: text.strip() for name, text in contents(project).items() if name not in YOURS}
    assert len(set(found.values())) == len(found)
    assert found["journal_url"] == f"postgresql://journal:{found['journal_password']}@postgres/journal"
    random = [text for name, text in found.items() if name.endswith(("_password", "_key"))]
    assert all(len(text) == 48 and set(text) <= set("0123456789abcdef") for text in random)


def test_only_the_owner_gets_into_the_folder_and_the_containers_accounts_can_read(project: Path):
    make(project)
    assert (project / "secrets").stat().st_mode & 0o777 == 0o700
    modes = {file.name: file.stat().st_mode & 0o777 for file in (project / "secrets").iterdir()}
    assert modes == {name: 0o644 if name in YOURS else 0o444 for name in modes}


def test_where_alerts_and_signs_of_life_go_is_for_people_to_say_and_stays_as_they_said(project: Path):
    assert all(f"made secrets/{name}, empty: write addresses into it\n" in make_anew(project, name) for name in YOURS)
    assert {contents(project)[name] for name in YOURS} == {""}
    (project / "secrets" / "alert_urls").write_text("json://localhost/")
    assert make(project) == ""
    assert contents(project)["alert_urls"] == "json://localhost/"


def test_what_is_there_stays_and_only_what_is_missing_is_made(project: Path):
    said = make(project)
    before = contents(project)
    assert all(text.strip() not in said for text in before.values() if text)
    (project / "secrets" / "api_key").unlink()
    assert make(project) == "made secrets/api_key\n"
    after = contents(project)
    assert after["api_key"] != before.pop("api_key")
    assert before == {name: text for name, text in after.items() if name != "api_key"}


def test_they_can_be_in_another_folder(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make(project)
    monkeypatch.setenv("EVERGREEN_SECRETS", str(tmp_path / "elsewhere"))
    make(project)
    elsewhere = {file.name: file.read_text() for file in (tmp_path / "elsewhere").iterdir()}
    assert elsewhere.keys() == contents(project).keys()
    assert elsewhere["journal_url"] != contents(project)["journal_url"]
    assert elsewhere["journal_password"].strip() in elsewhere["journal_url"]


def test_git_never_sees_them():
    assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
