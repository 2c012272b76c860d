"""What an override's end means, and by which word a champion serves."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from evergreen.journal import Journal, overrides, promotions
from evergreen.overrides import Override, in_force, read_end, row_of, used

NOW = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)
END = datetime(2026, 3, 16, tzinfo=UTC)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(f"sqlite:///{tmp_path / 'journal.db'}")
    yield opened
    opened.close()


def word(**changes: object) -> Override:
    values = {"version": 3, "decision": "d", "verdict": "reject", "checks": ("champion", "slices"), "reason": "known", "person": "Ada"}
    return Override(**{**values, "expires": END, **changes})


def moved(journal: Journal, version: int, kind: str, *, state: str = "done") -> str:
    name = f"move {len(journal.rows(promotions))}"
    journal.add(promotions, promotion=name, state=state, kind=kind, reason="r", person="p", version=version, champion=None, anchor=None)
    return name


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("2026-03-15", END),
        ("14d", END),
        ("1d", datetime(2026, 3, 3, tzinfo=UTC)),
        ("2026-03-01", datetime(2026, 3, 2, tzinfo=UTC)),
    ],
)
def test_an_end_is_the_end_of_a_day(text: str, end: datetime):
    assert read_end(text, now=NOW) == end


def test_days_are_counted_in_utc():
    east = NOW.astimezone(timezone(timedelta(hours=5)))  # the 2nd of March there
    assert read_end("14d", now=east) == END


@pytest.mark.parametrize("text", ["2026-02-28", "2025-12-31"])
def test_a_day_that_is_over_is_no_end(text: str):
    with pytest.raises(ValueError, match=f"{text} is over: it is 2026-03-01 in UTC"):
        read_end(text, now=NOW)


@pytest.mark.parametrize(
    "text", ["", "0d", "d", "-3d", "14", "14 d", "2w", "99999d", "tomorrow", "2026-02-30", "9999-12-31", "14dd", "x14d"]
)
def test_what_is_neither_a_day_nor_a_number_of_days_is_refused(text: str):
    with pytest.raises(ValueError, match="expected a date such as 2026-12-31, or a number of days such as 14d"):
        read_end(text, now=NOW)


def test_an_override_holds_through_its_last_day_and_not_a_moment_longer():
    assert word().last_day == "2026-03-15"
    assert not word().is_over(END - timedelta(microseconds=1))
    assert word().is_over(END)
    assert "refused (REJECT by champion, slices); Ada lets it serve through 2026-03-15 (UTC): known" in word().sentence


def test_a_champion_serves_by_the_newest_word_that_is_no_rollback(journal: Journal):
    assert in_force(journal, None) is None
    journal.add(overrides, **row_of(word(), moved(journal, 3, "override")))
    assert in_force(journal, 3) == word()
    assert in_force(journal, 2) is None
    moved(journal, 4, "promotion")
    moved(journal, 3, "rollback")
    assert in_force(journal, 3) == word()
    moved(journal, 3, "release")
    assert in_force(journal, 3) is None


def test_an_override_that_was_not_carried_out_is_not_in_force_and_on_no_page(journal: Journal):
    journal.add(overrides, **row_of(word(), moved(journal, 3, "override", state="undone")))
    assert in_force(journal, 3) is None
    assert used(journal) == {}


def test_the_newest_end_counts_and_the_same_word_again_is_no_second_row(journal: Journal):
    name, longer = moved(journal, 3, "override"), word(expires=END + timedelta(days=7))
    for wish in (word(), longer, longer):
        journal.add(overrides, **row_of(wish, name))
    assert len(journal.rows(overrides)) == 2
    assert in_force(journal, 3) == longer
    (shown,) = used(journal).values()
    assert (shown["person"], shown["reason"], shown["checks"], shown["last_day"]) == ("Ada", "known", ["champion", "slices"], "2026-03-22")
