"""What was measured stands in the journal once for each state of the data, the present one last."""

from pathlib import Path
from typing import Any

import pytest

from evergreen import journal as tables
from evergreen.journal import Journal
from evergreen.monitoring.keeping import keep


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(f"sqlite:///{tmp_path / 'journal.db'}")


def kept(journal: Journal, state: str, *, finds: list[str], last: Any = "newest") -> dict[str, Any]:
    """Keep what was found in a state; `finds` gets the state when it is really measured."""
    before = journal.last(tables.signals, kind="drift") if last == "newest" else last

    def find() -> tuple[str, dict[str, Any]]:
        finds.append(state)
        return "2026-05-01", {"found": state == "bad", "cost": float("nan")}

    return keep(journal, "drift", state, last=before, find=find)


def test_a_state_is_measured_once_for_as_long_as_it_lasts(journal: Journal):
    finds: list[str] = []
    first = kept(journal, "good", finds=finds)
    assert (first["window"], first["facts"]) == ("2026-05-01", {"found": False, "cost": None, "state": "good"})
    assert kept(journal, "good", finds=finds) == first
    assert finds == ["good"]
    assert len(journal.rows(tables.signals)) == 1


def test_a_state_that_comes_back_is_written_again_after_the_other(journal: Journal):
    finds: list[str] = []
    rows = [kept(journal, state, finds=finds) for state in ("good", "bad", "good", "good", "bad")]
    assert [row["facts"]["found"] for row in journal.rows(tables.signals)] == [False, True, False, True]
    assert [row["seq"] for row in rows] == [1, 2, 3, 3, 4]
    assert finds == ["good", "bad", "good", "bad"]


def test_two_that_measure_the_same_at_once_leave_one_row(journal: Journal):
    finds: list[str] = []
    one, other = (kept(journal, "good", finds=finds, last=None) for _ in range(2))
    assert one == other
    assert len(journal.rows(tables.signals)) == 1


def test_a_row_from_before_states_were_kept_is_measured_anew(journal: Journal):
    journal.add(tables.signals, signal="old", kind="drift", window="2026-04-01", facts={"found": True})
    assert kept(journal, "good", finds=[])["seq"] == 2
