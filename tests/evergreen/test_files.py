import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen import files
from evergreen.errors import BusyError, StoreError

HOLDS_THE_LOCK = """
import pathlib, sys
from evergreen.files import lock
with lock(pathlib.Path(sys.argv[1]), holder="the store"):
    print("held", flush=True)
    sys.stdin.read()
"""
DIES_BEFORE_THE_RENAME = """
import os, pathlib, sys
from evergreen.files import atomic_path
with atomic_path(pathlib.Path(sys.argv[1])) as temporary:
    temporary.write_text("half of the new")
    os._exit(9)
"""


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A lock that another process holds."""
    path = tmp_path / "locks" / "store.lock"
    command = [sys.executable, "-c", HOLDS_THE_LOCK, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield path, process
        process.kill()


def test_a_written_file_is_whole_and_alone(tmp_path: Path):
    path = files.write_bytes(tmp_path / "a" / "b" / "facts.json", b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["facts.json"]


def test_a_failure_while_writing_leaves_the_old_content_and_no_temporary_file(tmp_path: Path):
    path = files.write_bytes(tmp_path / "facts.json", b"old")

    def fails() -> None:
        with files.atomic_path(path) as temporary:
            temporary.write_bytes(b"half of the new")
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        fails()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_process_killed_before_the_rename_leaves_the_old_content(tmp_path: Path):
    path = files.write_bytes(tmp_path / "facts.json", b"old")
    assert subprocess.run([sys.executable, "-c", DIES_BEFORE_THE_RENAME, str(path)], check=False).returncode == 9
    assert path.read_bytes() == b"old"
    assert files.write_bytes(path, b"new").read_bytes() == b"new"


def test_json_comes_back_as_it_went_and_the_same_value_gives_the_same_bytes(tmp_path: Path):
    value = {"b": [1, 2.5, None], "a": {"ü": True}}
    path = files.write_json(tmp_path / "one.json", value)
    assert files.read_json(path) == value
    assert path.read_bytes() == files.write_json(tmp_path / "two.json", dict(reversed(value.items()))).read_bytes()


def test_not_a_number_is_no_json_and_nothing_is_written(tmp_path: Path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "facts.json", {"cost": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_missing_and_torn_json_are_told_with_the_cure(tmp_path: Path):
    path = tmp_path / "facts.json"
    with pytest.raises(StoreError, match=r"facts\.json is missing\. .* run again"):
        files.read_json(path)
    path.write_text('{"version": 1')
    with pytest.raises(StoreError, match=r"facts\.json is not JSON .*Remove it and run again"):
        files.read_json(path)


def test_a_file_digest_is_what_sha256sum_prints(tmp_path: Path):
    path = files.write_bytes(tmp_path / "a", b"abc")
    assert files.digest_file(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@given(st.lists(st.binary(max_size=3), max_size=4), st.lists(st.binary(max_size=3), max_size=4))
def test_two_lists_of_parts_share_a_digest_only_when_they_are_equal(one: list[bytes], two: list[bytes]):
    assert (files.digest_bytes(*one) == files.digest_bytes(*two)) == (one == two)


def test_a_folder_digest_follows_names_and_bytes_and_leaves_bytecode_out(tmp_path: Path):
    files.write_bytes(tmp_path / "code" / "features.py", b"x = 1")
    before = files.digest_folder(tmp_path)
    files.write_bytes(tmp_path / "code" / "__pycache__" / "features.pyc", b"bytecode")
    assert files.digest_folder(tmp_path) == before
    (tmp_path / "code" / "features.py").rename(tmp_path / "code" / "model.py")
    renamed = files.digest_folder(tmp_path)
    files.write_bytes(tmp_path / "code" / "model.py", b"x = 2")
    assert len({before, renamed, files.digest_folder(tmp_path)}) == 3


def test_a_folder_digest_counts_only_what_it_is_told_to_keep(tmp_path: Path):
    files.write_bytes(tmp_path / "model.skops", b"model")
    before = files.digest_folder(tmp_path, keep=lambda path: path.suffix == ".skops")
    files.write_bytes(tmp_path / "notes.txt", b"notes")
    assert files.digest_folder(tmp_path, keep=lambda path: path.suffix == ".skops") == before != files.digest_folder(tmp_path)


def test_a_second_process_is_told_who_is_busy_and_what_to_do(busy: tuple[Path, subprocess.Popen[str]]):
    path, _ = busy
    with (
        pytest.raises(BusyError, match=r"busy with the store \(lock .*store\.lock\).*Wait for it to end"),
        files.lock(path, holder="the store", seconds=0.1),
    ):
        pytest.fail("two processes hold the same lock")


def test_the_lock_of_a_killed_process_is_free(busy: tuple[Path, subprocess.Popen[str]]):
    path, process = busy
    process.kill()
    with files.lock(path, holder="the store", seconds=5):
        assert process.wait(5) != 0


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (b"gr\xfcn.csv", r"gr\xfcn.csv"),
        ("café (1).csv".encode(), "café (1).csv"),
        (b"a\\b.csv", r"a\b.csv"),
        (b"two\nlines\x1b[31m.csv", r"two\nlines\x1b[31m.csv"),
        ("left\u202eright".encode(), r"left\u202eright"),
    ],
)
def test_a_name_is_shown_as_text_that_any_place_takes(name: bytes, told: str):
    assert files.shown(os.fsdecode(name)) == told
    assert files.shown(told) == told
