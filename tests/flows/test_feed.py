"""The rounds of a problem whose outside world is played by a feed, one delivery of it broken; and what follows when people step in."""

import contextlib
import sqlite3

import commands
import pytest
from commands import Home, told

CONTRACT = "from toy.contract import PROBLEM\n"
FEED = """
from toy import data

ROUNDS, THROUGH, AHEAD = ["060", "070"], "070", 10

def months_through(through):
    return ROUNDS[: ROUNDS.index(through) + 1]

def last_delivered(landing):
    return max((f"{int(file.stem[-4:]) + 1:03}" for file in (landing / "outcomes").glob("*.csv")), default=None)

def deliver(landing, name):
    until = int(name)
    known = data.write_deliveries(landing, days=60, period=60)
    known += data.write_deliveries(landing, start_day=60, days=until - 60, period=AHEAD)
    coming = data.write_deliveries(landing, start_day=until, days=AHEAD, period=AHEAD)
    for path in [path for path in coming if path.parent.name == "outcomes"]:
        path.unlink()
    return known + coming

def deliver_corrupted(landing, name):
    path = landing / "stock" / "stock-0070-0079.csv"
    if name != ROUNDS[1] or path.exists():
        return []
    data.write_deliveries(landing, start_day=70, days=AHEAD, period=AHEAD)
    (landing / "outcomes" / "outcomes-0070-0079.csv").unlink()
    whole = path.read_text()
    path.write_text(whole + whole.splitlines(keepends=True)[-1])
    return [path]
"""


def fed(home: Home) -> Home:
    """The same home, for the toy problem with a feed beside its contract."""
    made = commands.make_home(home.root, problem="fed.contract:PROBLEM", contract=CONTRACT)
    (home.root / "contracts" / "fed" / "feed.py").write_text(FEED)
    return made


def run(home: Home, *words: str) -> list[str]:
    ended = home.evergreen(*words or ("run",))
    assert (ended.code, ended.err) == (0, "")
    return [" ".join(line.split()) for line in ended.out.splitlines() if line.strip()]


def test_rounds_go_on_over_a_broken_delivery_and_follow_what_people_decide(home: Home):
    """One story, because each part rests on the one before."""
    home = fed(home)
    told = run(home)
    assert [line for line in told if line.endswith("is over")] == ["060 is over", "070 is over"]
    second = told[told.index("070 is over") :]
    assert sum("quarantined: stock/stock-0070-0079.csv breaks 1 expectation" in line for line in second) == 1
    outcomes = [row["outcome"] for row in home.rows("deliveries") if row["name"] == "stock-0070-0079.csv"]
    assert outcomes == ["quarantined", "published"]
    assert [row["verdict"] for row in home.rows("decisions")] == ["promote", "promote"]
    assert [row["version"] for row in home.rows("publications")] == [1, 2]
    table = told.index("data to verdict version candidate champion rule of thumb")
    assert [line.split()[0] for line in told[table + 1 : table + 3]] == ["2026-03-05", "2026-03-15"]
    assert "Nothing is new: every delivery that is complete has been judged, and every verdict carried out." in run(home)

    batch = next((home.var / "batches" / "stock").iterdir())
    whole = batch.read_bytes()
    batch.write_bytes(whole + b"torn")
    went_back = run(home, "rollback", "--reason", "calls doubled")
    batch.write_bytes(whole)
    assert "Version 1 serves again. To publish its predictions: evergreen predict" in went_back
    assert any(line.startswith("The pages do not show it yet: The batch") for line in went_back)
    back = run(home)
    assert "version 1" in (home.var / "site" / "index.html").read_text().lower()
    assert any("nothing new to learn from; the verdict on version 2 stands: PROMOTE. Version 1 serves" in line for line in back)
    assert set(home.published()["model_version"]) == {1}
    assert any(line.startswith("Nothing is new") for line in run(home))

    run(home, "unbar", "2", "--reason", "the phones were broken")
    assert any("Version 2 serves, released by Ada." in line for line in run(home, "promote", "2", "--reason", "all is well", "--by", "Ada"))
    run(home)
    assert set(home.published()["model_version"]) == {2}


def test_months_that_were_delivered_together_are_one_round(home: Home):
    home = fed(home)
    assert any("files arrived" in line for line in run(home, "feed", "--through", "070"))
    told = run(home)
    assert [line for line in told if line.endswith("is over")] == ["070 is over"]
    assert [row["cycle"] for row in home.rows("cycles")] == ["070"]


def test_a_home_whose_rounds_were_recorded_otherwise_goes_round_once_more(home: Home):
    home.deliver()
    run(home)
    with contextlib.closing(sqlite3.connect(home.var / "journal.db")) as journal, journal:
        journal.execute("UPDATE cycles SET facts = json_remove(facts, '$.state')")
    again = run(home)
    assert any("nothing new to learn from; the verdict on version 1 stands: PROMOTE" in line for line in again)
    assert any(line.startswith("Nothing is new") for line in run(home))


@pytest.mark.parametrize(
    ("source", "said", "advice"),
    [
        (
            "\nimport nowhere_to_be_found\n",
            "line 2: ModuleNotFoundError: No module named 'nowhere_to_be_found'.",
            "Install nowhere_to_be_found",
        ),
        ("\n\ndef months_through(\n", "line 3: SyntaxError: '(' was never closed.", "Mend it"),
        (
            "from importlib.metadata import files\n" + FEED.replace("    until = int(name)", "    files('nowhere-to-be-found')"),
            "line 14: PackageNotFoundError: No package metadata was found for nowhere-to-be-found.",
            "Install nowhere-to-be-found",
        ),
        ("THROUGH = '070'\n", "AttributeError: module 'fed.feed' has no attribute 'months_through'.", "Mend it"),
        (FEED.replace("deliver_corrupted(landing, name):", "deliver_corrupted(landing, name):\n    1 / 0"), "ZeroDivisionError", "Mend it"),
    ],
    ids=["lacks a module", "is no Python", "lacks its data", "lacks a function", "fails"],
)
def test_a_feed_that_cannot_play_the_outside_world_is_told_with_what_to_do(home: Home, source: str, said: str, advice: str):
    home = fed(home)
    file = home.root / "contracts" / "fed" / "feed.py"
    file.write_text(source)
    cure = f"{advice}; or, if it is the example's, which your problem does not need, remove {file}. Then run again."
    told(home.evergreen("run"), "The feed, which plays the outside world, failed. ", said, cure)
    if "Install" in advice:
        told(home.evergreen("feed"), said, cure)
