"""Which version is in shadow, as the journal has it, and what becomes of the rows that it is asked about."""

import itertools
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from logged import put
from moves import judged

from evergreen import shadows
from evergreen.journal import Journal, gaps, mirror, shadowed
from evergreen.journal.mirror import Account, Asked, Faults
from evergreen.serving.mirror import BATCH_ROWS, Model, Unanswered, _follow, write
from evergreen.serving.worker import Order

NEVER = 10**9


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(f"sqlite:///{tmp_path / 'journal.db'}")


def serve(journal: Journal, rows: int, *, at: int = 0) -> None:
    """Log that so many rows were answered, each with an amount of its own."""
    put(journal, pd.DataFrame({"amount": range(at, at + rows)}), pd.DataFrame({"decision": [0] * rows, "probability": [0.25] * rows}))


def double(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {"decision": [1] * len(rows), "probability": [2.0 * row["amount"] for row in rows]}


def refuse_sevens(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    if any(row["amount"] % 10 == 7 for row in rows):
        raise Unanswered("no sevens")
    return double(rows)


def followed(journal: Journal, shadow: shadows.Shadow, ask: Any = double, *, most: int = NEVER, batches: int = 1) -> dict[str, int]:
    told = list(itertools.islice(_follow(ask, str(journal.url), (shadow.number, shadow.since), most), batches))
    assert {said for said, _ in told} == {""}
    return told[-1][1]


def held_by(journal: Journal, version: int, verdict: str) -> None:
    """A decision of the gate."""
    judged(SimpleNamespace(journal=journal), version, verdict)


def begun(journal: Journal, version: int = 2) -> shadows.Shadow:
    shadows.begin(journal, version, reason="Asked for by Ada.")
    found = shadows.wanted(journal)
    assert found is not None
    return found


def test_none_is_in_shadow_at_first(journal: Journal):
    assert (shadows.wanted(journal), shadows.newest(journal), shadows.ended(journal)) == (None, None, "")
    shadows.end(journal, reason="nothing to end")
    assert shadows.ended(journal) == ""


def test_one_takes_the_place_of_another_and_the_same_again_changes_nothing(journal: Journal):
    first = begun(journal, 2)
    assert begun(journal, 2) == first
    serve(journal, 3)
    second = begun(journal, 3)
    assert (second.version, second.since, second.until) == (3, 3, None)
    serve(journal, 2)
    shadows.end(journal, reason="Ended by Grace.")
    assert shadows.wanted(journal) is None
    assert shadows.ended(journal) == "Ended by Grace."
    last = shadows.newest(journal)
    assert last is not None
    assert (last.version, last.since, last.until, last.reason) == (3, 3, 5, "Asked for by Ada.")


def test_a_row_is_asked_about_once_and_what_was_served_before_is_not(journal: Journal):
    serve(journal, 4)
    shadow = begun(journal)
    serve(journal, 3, at=4)
    assert followed(journal, shadow) == {"scored": 3, "failed": 0, "dropped": 0, "waiting": 0}
    assert followed(journal, shadow, batches=2) == {"scored": 3, "failed": 0, "dropped": 0, "waiting": 0}
    assert [(pair.answer, pair.shadow) for pair in mirror.pairs(journal, shadow.number)] == [
        ('{"decision":0,"probability":0.25}', f'{{"decision":1,"probability":{2.0 * amount}}}') for amount in (4, 5, 6)
    ]


def test_more_than_a_batch_is_taken_in_turns(journal: Journal):
    shadow = begun(journal)
    serve(journal, BATCH_ROWS + 5)
    assert followed(journal, shadow) == {"scored": BATCH_ROWS, "failed": 0, "dropped": 0, "waiting": 5}
    assert followed(journal, shadow) == {"scored": BATCH_ROWS + 5, "failed": 0, "dropped": 0, "waiting": 0}


def test_of_too_many_that_wait_the_oldest_are_left_out_and_counted(journal: Journal):
    shadow = begun(journal)
    serve(journal, 50)
    assert followed(journal, shadow, most=10) == {"scored": 5, "failed": 0, "dropped": 45, "waiting": 0}
    (gap,) = journal.rows(gaps)
    assert (gap["first"], gap["last"], gap["row_count"]) == (1, 45, 45)
    assert [row["served"] for row in journal.rows(shadowed)] == [46, 47, 48, 49, 50]
    assert mirror.account(journal, shadow.number, since=shadow.since) == Account(scored=5, failed=0, dropped=45, waiting=0)
    assert mirror.position(journal, shadow.number, since=shadow.since) == 50


def test_up_to_so_many_may_wait(journal: Journal):
    shadow = begun(journal)
    serve(journal, 10)
    assert followed(journal, shadow, most=10) == {"scored": 10, "failed": 0, "dropped": 0, "waiting": 0}
    assert journal.rows(gaps) == []


def test_where_the_model_fails_the_others_have_their_answers(journal: Journal):
    shadow = begun(journal)
    serve(journal, 40)
    assert followed(journal, shadow, refuse_sevens) == {"scored": 36, "failed": 4, "dropped": 0, "waiting": 0}
    failed = [row for row in journal.rows(shadowed) if row["fault"]]
    assert [(row["served"], row["answer"], row["fault"]) for row in failed] == [(at, None, "no sevens") for at in (8, 18, 28, 38)]
    account = mirror.account(journal, shadow.number, since=shadow.since)
    assert (account, account.mirrored) == (Account(36, 4, 0, 0), 40)


def test_a_row_without_a_feature_that_is_wanted_is_no_failure_of_the_model_which_is_not_asked(journal: Journal):
    shadow = begun(journal)
    serve(journal, 3)
    ours, theirs = Pipe()
    model = Model(Order(2, Path("model"), Path("golden")), ours)
    model._features, model._line = ["amount", "size", "colour"], ours
    told = followed(journal, shadow, model.ask)
    assert told["failed"] == 3
    assert mirror.faults(journal, shadow.number) == Faults(failed=0, newest="", lacking=3, lacks=("colour", "size"))
    assert not theirs.poll()
    ours.close()
    theirs.close()


def test_an_answer_that_the_journal_refuses_is_a_failure_and_the_next_rows_are_asked(journal: Journal):
    shadow = begun(journal)
    serve(journal, 4)
    with journal.writing() as connection:
        wary = "CREATE TRIGGER wary BEFORE INSERT ON shadowed WHEN NEW.served = 2 AND NEW.answer IS NOT NULL "
        connection.exec_driver_sql(f"{wary} BEGIN SELECT RAISE(ABORT, 'no such thing'); END")
    asked: list[int] = []

    def count(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
        asked.append(len(rows))
        return double(rows)

    told = followed(journal, shadow, count)
    assert (told["scored"], told["failed"], told["waiting"], asked) == (3, 1, 0, [4])
    (fault,) = [row["fault"] for row in journal.rows(shadowed) if row["fault"]]
    assert fault.startswith("What it said was not written down. The journal")


def test_what_was_written_already_stays_as_it_was(journal: Journal):
    shadow = begun(journal)
    serve(journal, 2)
    rows = mirror.next_rows(journal, 0, most=10)
    assert write(journal, shadow.number, rows, double) == 0
    before = journal.rows(shadowed)
    assert write(journal, shadow.number, rows, refuse_sevens) == 0
    assert journal.rows(shadowed) == before


def test_a_row_is_read_as_it_was_logged(journal: Journal):
    serve(journal, 1, at=5)
    assert mirror.next_rows(journal, 0, most=10) == [Asked(1, '{"amount":5}')]


def test_while_the_journal_cannot_be_used_it_is_told_and_then_goes_on(tmp_path: Path):
    place = tmp_path / "not yet"
    place.write_text("no folder")
    told = _follow(double, f"sqlite:///{place / 'journal.db'}", (1, 0), NEVER)
    said, account = next(told)
    assert "cannot be used" in said
    assert account == {}
    place.unlink()
    serve(Journal(f"sqlite:///{place / 'journal.db'}"), 2)
    assert next(told) == ("", {"scored": 2, "failed": 0, "dropped": 0, "waiting": 0})


@pytest.mark.parametrize(("verdict", "version"), [("hold", 2), ("promote", None), ("reject", None)])
def test_what_the_gate_holds_is_asked_in_shadow(journal: Journal, verdict: str, version: int | None):
    held_by(journal, 2, verdict)
    shadows.follow_gate(journal)
    found = shadows.wanted(journal)
    assert (found and found.version) == version


def test_before_any_verdict_nothing_is_held(journal: Journal):
    shadows.follow_gate(journal)
    assert shadows.wanted(journal) is None


def test_what_is_judged_otherwise_is_asked_no_more(journal: Journal):
    held_by(journal, 2, "hold")
    shadows.follow_gate(journal)
    held_by(journal, 2, "reject")
    shadows.follow_gate(journal)
    assert shadows.ended(journal) == "Version 2 is not held any more."


def test_what_a_person_ended_or_began_since_stays(journal: Journal):
    held_by(journal, 2, "hold")
    shadows.follow_gate(journal)
    shadows.end(journal, reason="Ended by Ada.")
    shadows.follow_gate(journal)
    assert shadows.ended(journal) == "Ended by Ada."
    shadows.begin(journal, 3, reason="Asked for by Ada.")
    held_by(journal, 1, "promote")
    shadows.follow_gate(journal)
    assert getattr(shadows.wanted(journal), "version", None) == 3
    held_by(journal, 2, "hold")
    shadows.follow_gate(journal)
    assert getattr(shadows.wanted(journal), "version", None) == 3
    shadows.end(journal, reason="Ended by Ada.")
    held_by(journal, 2, "hold")
    shadows.follow_gate(journal)
    assert getattr(shadows.wanted(journal), "version", None) == 2


def test_another_versions_verdict_ends_nothing(journal: Journal):
    held_by(journal, 2, "hold")
    shadows.follow_gate(journal)
    held_by(journal, 3, "reject")
    shadows.follow_gate(journal)
    assert getattr(shadows.wanted(journal), "version", None) == 2
    held_by(journal, 4, "hold")
    shadows.follow_gate(journal)
    assert getattr(shadows.wanted(journal), "version", None) == 4


def test_only_the_wish_that_is_meant_is_ended(journal: Journal):
    first = begun(journal, 2)
    second = begun(journal, 7)
    shadows.end(journal, reason="Version 2 cannot be asked.", number=first.number)
    assert shadows.wanted(journal) == second
    shadows.end(journal, reason="Version 7 cannot be asked.", number=second.number)
    assert shadows.wanted(journal) is None


def test_a_row_that_two_processes_came_by_is_counted_once(journal: Journal):
    shadow = begun(journal)
    serve(journal, 24)
    assert mirror.skip(journal, shadow.number, 0, keep=4) == (20, 20)
    assert mirror.skip(journal, shadow.number, 10, keep=4) == (20, 10)
    write(journal, shadow.number, mirror.next_rows(journal, 18, most=4), double)
    account = mirror.account(journal, shadow.number, since=shadow.since)
    assert (account, account.mirrored) == (Account(scored=4, failed=0, dropped=18, waiting=2), 24)
