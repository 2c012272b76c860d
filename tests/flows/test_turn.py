"""`evergreen fetch` and `evergreen retrain`: one turn of continuous training from a command, for cron and for CI."""

import json
from pathlib import Path

import pytest
from commands import Ended, Home, make_home, told

NO_FETCH = "from toy.contract import PROBLEM\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    """A home in which the first two months have been fetched and learnt from."""
    home = make_home(tmp_path_factory.mktemp("turns"))
    (home.root / "pointer").write_text("60\n")
    return home


@pytest.fixture(scope="module")
def first(home: Home) -> dict[str, Ended]:
    """What was said at each step, up to the second turn, for which nothing has changed."""
    pointer = {"EVERGREEN_POINTER": str(home.root / "pointer")}
    return {
        "empty": home.evergreen("retrain", "--report", str(home.root / "empty"), **pointer),
        "fetch": home.evergreen("fetch", **pointer),
        "waiting": home.evergreen("retrain", "--explain"),
        "turn": home.evergreen("retrain", "--report", str(home.root / "first")),
        "nothing": home.evergreen("retrain", "--report", str(home.root / "nothing")),
    }


def outcome(home: Home, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((home.root / name / "outcome.json").read_text())
    return found


def test_before_anything_arrived_there_is_nothing_to_do(home, first):
    assert first["empty"].code == 0
    assert "Nothing asks for a round." in first["empty"].out
    assert outcome(home, "empty") == {"verdict": None, "version": None, "champion": None, "complete": True, "changed": False}


def test_the_problems_own_fetch_is_given_the_pointer_and_its_files_are_counted(home, first):
    assert first["fetch"].code == 0
    files = [path for path in (home.var / "landing").glob("*/*") if path.is_file()]
    assert f"{len(files)} files arrived in {home.var / 'landing'} (pointer 60)" in " ".join(first["fetch"].out.split())
    assert {path.name for path in files if path.parent.name == "orders"} == {
        f"orders-{days}.csv" for days in ("0000-0029", "0030-0059", "0060-0069")
    }


def test_a_turn_trains_when_there_is_something_new_and_reports_what_came_of_it(home, first):
    assert (first["turn"].code, first["turn"].err) == (0, "")
    assert "toy: a round, for a delivery waits to be judged" in first["turn"].out
    assert outcome(home, "first") == {"verdict": "PROMOTE", "version": 1, "champion": None, "complete": True, "changed": True}
    summary = (home.root / "first" / "summary.md").read_text()
    assert summary.startswith("### PROMOTE: Version 1 is promoted: it is the first model")
    assert "| data | retrain | data |" in summary
    assert "9 published" in summary


def test_the_report_has_the_pages_of_the_home_that_the_settings_name_and_none_of_an_earlier_report(home, first):
    made = home.root / "first" / "site"
    names = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert {"index.html", "models/1.html"} < names
    assert not (home.root / "empty" / "site").exists()
    (made / "old.html").write_text("old")
    assert home.evergreen("retrain", "--report", str(home.root / "first")).code == 0
    assert {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()} == names


@pytest.mark.parametrize("place", ["var", "var/site", "var/site/models"])
def test_a_report_into_the_home_itself_takes_nothing_from_it(home, first, place):
    before = {path for path in (home.var / "site").rglob("*") if path.is_file()}
    assert home.evergreen("retrain", "--report", str(home.root / place)).code == 0
    told = {home.root / place / name for name in ("summary.md", "outcome.json")}
    assert {path for path in (home.var / "site").rglob("*") if path.is_file()} - told == before
    for path in told:
        path.unlink()


def test_a_turn_without_a_reason_does_nothing_and_says_so(home, first):
    assert (first["nothing"].code, first["nothing"].err) == (0, "")
    assert "Nothing asks for a round." in first["nothing"].out
    assert outcome(home, "nothing")["changed"] is False
    assert (home.root / "nothing" / "summary.md").read_text() == "### Nothing was judged\n"
    assert [row["candidate"] for row in home.rows("decisions")][:1] == [1]


def test_explaining_says_what_would_be_done_and_does_nothing(home, first):
    assert "A delivery waits to be judged" in first["waiting"].out
    before = {table: home.rows(table) for table in ("triggers", "decisions", "cycles", "deliveries")}
    explained = home.evergreen("retrain", "--explain")
    assert explained.code == 0
    assert [line.split()[0] for line in explained.out.splitlines()] == ["schedule", "data", "drift", "decay", "person"]
    assert {table: home.rows(table) for table in before} == before


def test_a_persons_reason_is_recorded_with_who_asked(home, first):
    asked = home.evergreen("retrain", "--reason", "a supplier has changed", "--report", str(home.root / "asked"), LOGNAME="ann", USER="ann")
    assert asked.code == 0, asked
    row = next(row for row in home.rows("triggers") if row["action"] == "ask")
    assert row["reason"].endswith("asked for it: a supplier has changed")
    assert "a supplier has changed" in (home.root / "asked" / "summary.md").read_text()
    silent = home.evergreen("retrain", "--reason", "  ")
    assert silent.code == 2
    assert "it is empty; say why" in " ".join(silent.err.split())


def test_a_turn_that_fails_still_reports_what_it_had_judged(tmp_path):
    home = make_home(tmp_path)
    home.evergreen("fetch", "--pointer", "60")
    suite = home.root / "expectations" / "training_data.json"
    rows = {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 10**9}, "severity": "critical"}
    suite.write_text(json.dumps({"name": "training_data", "expectations": [rows]}))
    told(home.evergreen("retrain", "--report", str(tmp_path / "failed")), "The training data are not what")
    assert outcome(home, "failed")["complete"] is False
    summary = (tmp_path / "failed" / "summary.md").read_text()
    assert summary.startswith("### Nothing was judged")
    assert "9 published" in summary


def test_a_file_that_belongs_to_no_source_makes_the_turn_fail(home, first):
    stray = home.var / "landing" / "stray.csv"
    stray.write_text("x\n")
    ended = home.evergreen("retrain", "--report", str(home.root / "stray"))
    stray.unlink()
    assert ended.code == 1
    assert outcome(home, "stray")["complete"] is False


def test_a_problem_without_fetch_gets_its_deliveries_from_others(tmp_path):
    home = make_home(tmp_path, problem="shop.contract:PROBLEM", contract=NO_FETCH, bare=True)
    (tmp_path / "contracts" / "shop" / "__init__.py").touch()
    ended = home.evergreen("fetch")
    assert ended.code == 0
    assert f"This problem has no fetch.py: its deliveries are put into {home.var / 'landing'} by others." in " ".join(ended.out.split())


@pytest.mark.parametrize(
    ("source", "words", "parts"),
    [
        ("", ("--pointer", "1"), ("has no function fetch(landing: Path, pointer: str)",)),
        ("def fetch(landing, pointer): return []", (), ("Got no file", "EVERGREEN_POINTER", "--pointer")),
        ("import nowhere_to_be_found", ("--pointer", "1"), ("fetch.py, line 1: ModuleNotFoundError", "nowhere_to_be_found")),
        ("def fetch(landing, pointer):\n    return 1 / 0", ("--pointer", "1"), ("fetch.py, line 2: ZeroDivisionError: division by zero.",)),
        ("def fetch(landing, pointer): pass", ("--pointer", "1"), ("fetch.py returned NoneType; expected the files it wrote",)),
        (
            "import json\n\ndef fetch(landing, pointer):\n    return json.loads('{')",
            ("--pointer", "1"),
            ("fetch.py, line 4: JSONDecodeError: Expecting",),
        ),
    ],
    ids=["no function", "no pointer", "a module it lacks", "one that fails", "one that returns nothing", "one that fails in a library"],
)
def test_what_is_wrong_with_fetching_is_said(tmp_path: Path, source, words, parts):
    home = make_home(tmp_path, problem="shop.contract:PROBLEM", contract=NO_FETCH, bare=True)
    (tmp_path / "contracts" / "shop" / "fetch.py").write_text(source)
    told(home.evergreen("fetch", *words, EVERGREEN_POINTER=str(tmp_path / "pointer")), *parts)
