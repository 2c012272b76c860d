import shutil
import subprocess
from pathlib import Path

import pytest
from candidates import LOCK
from toy.contract import PROBLEM
from workspaces import changed

from evergreen.errors import EvergreenError
from evergreen.files import digest_file, digest_folder
from evergreen.provenance import code_version, locked_packages, provenance_digests, training_key

DIGESTS = {"snapshot": "s", "contract": "c", "code": "d", "lock": "l"}


def key(digests: dict[str, str] = DIGESTS, content: str = "rows", seed: int = 0, **parameters: object) -> str:
    return training_key(digests, content=content, seed=seed, parameters=parameters)


def test_a_training_is_made_from_snapshot_contract_code_and_lock():
    toy = Path(__file__).parents[1] / "toy"
    assert provenance_digests(PROBLEM, snapshot="s", lock=LOCK) == {
        "snapshot": "s",
        "contract": PROBLEM.digest(),
        "code": digest_folder(toy),
        "lock": digest_file(LOCK),
    }
    assert provenance_digests(changed(name="another"), snapshot="s", lock=LOCK)["contract"] != PROBLEM.digest()


def test_a_missing_lock_is_told_with_the_way_to_make_one(tmp_path: Path):
    with pytest.raises(EvergreenError, match=r"no lock file at .*requirements\.txt; .*make lock"):
        provenance_digests(PROBLEM, snapshot="s", lock=tmp_path / "requirements.txt")


def test_a_training_has_the_same_key_as_long_as_its_result_would_be_the_same():
    assert key(a=1, b=2) == key(b=2, a=1) == key({**DIGESTS, "snapshot": "another"}, a=1, b=2)


def test_a_training_has_another_key_when_anything_that_decides_its_result_changes():
    others = [key({**DIGESTS, part: "another"}) for part in ("contract", "code", "lock")]
    assert len({key(), *others, key(content="other rows"), key(seed=1), key(depth=3), key(depth=4)}) == 8


def git(folder: Path, *arguments: str) -> str:
    command = [str(shutil.which("git")), *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that git looks after, with one commit."""
    person = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    (tmp_path / "features.py").write_text("x = 1\n")
    for command in (["init", "--quiet"], ["add", "."], [*person, "commit", "--quiet", "--no-gpg-sign", "--message", "first"]):
        git(tmp_path, *command)
    return tmp_path


def test_the_version_of_the_code_is_its_commit_with_a_plus_when_files_have_changed(checkout: Path):
    head = git(checkout, "rev-parse", "HEAD")
    assert code_version(checkout) == head
    git(checkout, "-c", "user.name=somebody", "-c", "user.email=s@example.org", "tag", "--annotate", "--message", "one", "v1")
    assert code_version(checkout) == head  # a tag can be moved
    (checkout / "features.py").write_text("x = 2\n")
    assert code_version(checkout) == head + "+"


def test_the_version_of_code_outside_a_checkout_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert code_version(tmp_path) == "unknown"
    monkeypatch.setenv("PATH", "")
    assert code_version(tmp_path) == "unknown"


def test_an_image_without_git_says_which_commit_it_was_built_from(checkout: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EVERGREEN_REVISION", "0123456789ab")
    assert code_version(checkout) == git(checkout, "rev-parse", "HEAD")
    monkeypatch.setenv("PATH", "")
    assert code_version(checkout) == "0123456789ab"


def test_a_lock_file_tells_the_version_of_every_package_that_this_python_installs(tmp_path: Path):
    lock = tmp_path / "requirements.txt"
    lock.write_text(
        "# a remark on numpy==1\n--index-url https://example.org/?a==b\nnumpy==2.4.1 \\\n    --hash=sha256:ab==\n    # via pandas\n"
        'pywin32==311 ; sys_platform == "nowhere" \\\n    --hash=sha256:cd\nuvicorn[standard]==0.40.0 ; python_version >= "3"\n'
    )
    assert locked_packages(lock) == {"numpy": "2.4.1", "uvicorn": "0.40.0"}


def test_the_projects_own_lock_is_understood():
    found = locked_packages(LOCK)
    assert {"numpy", "pandas", "scikit-learn", "mlflow"} <= set(found)
    assert all(version[0].isdigit() for version in found.values())
