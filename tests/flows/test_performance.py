"""What `evergreen performance` says after rounds of the loop."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from commands import Home

from evergreen.monitoring.kinds import STALENESS


@pytest.fixture
def copy(two_months, tmp_path: Path) -> Home:
    """What two rounds have left, to write into; the models' own files are those of the first."""
    shutil.copytree(two_months.home.root, tmp_path / "copy")
    copied: Home = dataclasses.replace(two_months.home, root=tmp_path / "copy")
    return copied


def test_rounds_estimate_what_they_publish_and_measure_it_when_outcomes_have_come(two_months, copy: Home):
    said = copy.evergreen("performance", "--json")
    assert (said.code, said.err) == (0, "")
    told = json.loads(said.out)
    first, second = told["windows"]
    assert first["realized"]["is_judged"]
    assert first["estimate"]["is_judged"]
    assert first["missed"]["cost"] == first["estimate"]["cost"]["estimate"] - first["realized"]["cost"]["estimate"]
    assert first["estimate"]["at"] < first["realized"]["at"]
    assert second["realized"] is None
    assert told["staleness"]["points"]
    assert "1,000 orders" in two_months.first.out.split("expected")[1]


def test_a_round_sees_how_the_version_that_serves_at_its_end_grows_old_and_asks_none_twice(copy: Home):
    def asked() -> list[tuple[int, str]]:
        rows = [row for row in copy.rows("signals") if row["kind"] == STALENESS]
        return [(json.loads(row["facts"])["version"], row["window"]) for row in rows]

    by_rounds, champion = asked(), copy.state()["champion"]
    assert champion == 2
    assert (champion, by_rounds[-1][1]) in by_rounds
    assert len(set(by_rounds)) == len(by_rounds)
    assert copy.evergreen("performance").code == 0
    assert asked() == by_rounds


def test_performance_is_told_in_tables_and_told_again_is_the_same(copy: Home):
    said = copy.evergreen("performance")
    assert (said.code, said.err) == (0, "")
    for title in (
        "Published predictions, cost in EUR per 1,000 orders",
        "Versions asked about the newest outcomes",
        "Slices that cost most",
    ):
        assert title in said.out
    assert "no outcomes yet" in said.out
    assert "days before the newest row of all" in said.out
    assert copy.evergreen("performance").out == said.out


def test_before_anything_was_predicted_the_next_step_is_named(home: Home):
    said = home.evergreen("performance")
    assert (said.code, said.err) == (0, "")
    assert "Run: evergreen run" in said.out
