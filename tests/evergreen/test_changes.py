import json
from pathlib import Path
from typing import Any

import pytest
from toy.contract import PROBLEM

from evergreen.changes import MOST_LINES, Made, changes

DIGESTS = {"snapshot": "s", "contract": "c", "code": "d", "lock": "l"}


def made(*, code: Path | None = None, batches: dict[str, list[str]] | None = None, **facts: Any) -> Made:
    known = {"rows": 1_200, "training_start": "2013-01-01T00:00:00", "training_end": "2013-04-30T00:00:00", "features": ["hour", "wind"]}
    return Made({**known, "parameters": {"seed": 0}, "provenance": DIGESTS, **facts}, batches or {}, code)


def package(folder: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        path = folder / "toy" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_a_first_model_has_nothing_to_be_compared_with():
    assert changes(PROBLEM, made(), None) == {"sentences": ["It is the first model: there is nothing to compare it with."]}


def test_of_two_that_are_made_alike_only_their_rows_are_told():
    found = changes(PROBLEM, made(), made())
    things = PROBLEM.things
    assert found["sentences"] == [f"Training data: 1,200 {things} up to 2013-04-30; before, 1,200 {things} up to 2013-04-30."]
    rest = {key: value for key, value in found.items() if key not in {"sentences", "window"}}
    assert rest == {"batches": {}, "features": {"added": [], "removed": []}, "parameters": [], "packages": [], "code": []}


def test_the_window_is_told_of_both():
    found = changes(PROBLEM, made(rows=1_500, training_end="2013-05-31T10:00:00"), made())
    assert found["window"]["now"] == {"start": "2013-01-01T00:00:00", "end": "2013-05-31T10:00:00", "rows": 1_500}
    assert found["window"]["before"]["rows"] == 1_200
    assert found["sentences"][0].startswith("Training data: 1,500 ")


def test_batches_that_only_one_learnt_from_are_counted_by_source():
    new = made(batches={"orders": ["a", "b", "c"], "weather": ["x"], "same": ["s"]})
    old = made(batches={"orders": ["a"], "weather": ["x", "y", "y"], "same": ["s"], "gone": ["g"]})
    found = changes(PROBLEM, new, old)
    assert found["batches"] == {
        "gone": {"added": 0, "removed": 1},
        "orders": {"added": 2, "removed": 0},
        "weather": {"added": 0, "removed": 2},
    }
    assert "Batches of data: gone 1 removed; orders 2 added; weather 2 removed." in found["sentences"]


def test_features_that_came_and_went_are_named():
    found = changes(PROBLEM, made(features=["hour", "snow"]), made())
    assert found["features"] == {"added": ["snow"], "removed": ["wind"]}
    assert found["sentences"][1:] == ["Features added: snow.", "Features removed: wind."]


def test_parameters_are_told_with_what_they_were_and_what_they_are():
    found = changes(PROBLEM, made(parameters={"seed": 0, "depth": 4}), made(parameters={"seed": 1}))
    assert found["parameters"] == [{"name": "depth", "before": None, "now": 4}, {"name": "seed", "before": 1, "now": 0}]
    assert found["sentences"][1] == "Parameters: depth 4 (before, not set), seed 0 (before, 1)."


def test_packages_are_named_where_both_know_theirs_and_only_the_lock_where_not():
    new = made(packages={"numpy": "2.4.1", "pandas": "3.0"}, provenance={**DIGESTS, "lock": "m"})
    named = changes(PROBLEM, new, made(packages={"numpy": "2.4.0", "pandas": "3.0"}))
    assert named["packages"] == [{"name": "numpy", "before": "2.4.0", "now": "2.4.1"}]
    assert named["sentences"][1:] == ["Locked packages: numpy 2.4.1 (before, 2.4.0)."]
    older = changes(PROBLEM, new, made())
    assert older["packages"] == []
    assert older["sentences"][1:] == ["The locked packages changed."]
    assert changes(PROBLEM, made(), new)["packages"] == []


def test_a_sentence_names_five_and_counts_the_rest():
    lock = {"provenance": {**DIGESTS, "lock": "m"}}
    for many, end in ((5, "p4 2 (before, 1)."), (6, "p4 2 (before, 1) and 1 more.")):
        now, was = ({f"p{i}": version for i in range(many)} for version in ("2", "1"))
        assert changes(PROBLEM, made(packages=now, **lock), made(packages=was))["sentences"][1].endswith(end)


def test_the_code_is_told_line_by_line(tmp_path: Path):
    new = package(tmp_path / "new", features="x = 2\ny = 1\n", same="z = 0\n", fresh="a = 1\n")
    old = package(tmp_path / "old", features="x = 1\ny = 1\n", same="z = 0\n", gone="b = 1\n")
    found = changes(PROBLEM, made(code=new, provenance={**DIGESTS, "code": "e", "contract": "d"}), made(code=old))
    told = {one["file"]: one["diff"].splitlines() for one in found["code"]}
    assert list(told) == ["toy/features.py", "toy/fresh.py", "toy/gone.py"]
    assert told["toy/features.py"] == [
        "--- before/toy/features.py",
        "+++ now/toy/features.py",
        "@@ -1,2 +1,2 @@",
        "-x = 1",
        "+x = 2",
        " y = 1",
    ]
    assert "+a = 1" in told["toy/fresh.py"]
    assert "-b = 1" in told["toy/gone.py"]
    code = "The problem's code changed: toy/features.py, toy/fresh.py, toy/gone.py."
    assert found["sentences"][1:] == ["The contract changed.", code]
    json.dumps(found, allow_nan=False)


def test_bytecode_is_no_change_and_a_file_that_is_no_text_is_told_by_its_digest(tmp_path: Path):
    new, old = package(tmp_path / "new", table=b"\xff\x00\x01"), package(tmp_path / "old", table=b"\xff\x00\x02")
    (new / "toy" / "__pycache__").mkdir()
    (new / "toy" / "__pycache__" / "table.pyc").write_bytes(b"\xff")
    (only,) = changes(PROBLEM, made(code=new, provenance={**DIGESTS, "code": "e"}), made(code=old))["code"]
    assert only["file"] == "toy/table.py"
    assert only["diff"].count("3 bytes that are no text") == 2


@pytest.mark.parametrize(("rows", "kept"), [(MOST_LINES - 3, MOST_LINES), (MOST_LINES - 2, MOST_LINES + 1)])
def test_a_long_difference_is_cut_and_says_so(tmp_path: Path, rows: int, kept: int):
    new = package(tmp_path / "new", long="".join(f"x{i} = 1\n" for i in range(rows)), next="y = 1\n")
    old = package(tmp_path / "old", start="")
    found = changes(PROBLEM, made(code=new, provenance={**DIGESTS, "code": "e"}), made(code=old))["code"]
    first, second = (one["diff"].splitlines() for one in found if one["diff"])
    assert len(first) == kept
    assert ("1 more lines" in first[-1]) is (kept > MOST_LINES)
    assert second == ["... 4 more lines stand in the models' own folders."]


def test_without_the_folders_only_that_the_code_changed_is_told(tmp_path: Path):
    new = made(code=package(tmp_path, features="x = 1"), provenance={**DIGESTS, "code": "e"})
    found = changes(PROBLEM, new, made())
    assert found["code"] == []
    assert found["sentences"][1:] == ["The problem's code changed."]


def test_code_of_the_same_digest_is_not_compared(tmp_path: Path):
    new, old = package(tmp_path / "new", features="x = 1"), package(tmp_path / "old", features="x = 2")
    assert changes(PROBLEM, made(code=new), made(code=old))["code"] == []
