from datetime import UTC, datetime, timedelta

import pytest

from evergreen import journal as j
from evergreen.gate.ledger import Question, open_budget, spending
from evergreen.policies import GatePolicy

POLICY = GatePolicy()
NEW_YEAR = datetime(2013, 1, 1, tzinfo=UTC)


@pytest.fixture
def journal(tmp_path):
    opened = j.Journal(f"sqlite:///{tmp_path / 'journal.db'}")
    yield opened
    opened.close()


def ask(journal, day, *, candidate=None, champion="champion", policy=POLICY):
    question = Question(candidate or f"candidate of day {day}", champion, f"up to day {day}")
    return open_budget(journal, question, data_time=NEW_YEAR + timedelta(days=day), policy=policy)


def spend(journal, day, **asked):
    budget = ask(journal, day, **asked)
    assert journal.add_all(spending(budget))
    return budget


def test_a_gate_spends_its_share_of_the_year(journal):
    budget = spend(journal, 0)
    assert (budget.alpha, budget.price, budget.spent, budget.allowed) == (pytest.approx(0.8 * 0.10 / 12), 0.10 / 12, 0.0, 0.10)
    after = ask(journal, 30)
    assert after.spent == pytest.approx(0.10 / 12)
    assert after.left == pytest.approx(0.10 * 11 / 12)


def test_looking_at_the_budget_spends_nothing(journal):
    ask(journal, 0)
    assert journal.rows(j.ledger) == []


def test_the_same_question_costs_once_and_has_the_same_answer(journal):
    budget = spend(journal, 0)
    spend(journal, 1)
    again = ask(journal, 0, policy=GatePolicy(alpha_per_year=0.3))
    assert spending(again) == []
    assert again.already_spent
    assert (again.alpha, again.spent, again.key) == (budget.alpha, budget.spent, budget.key)
    assert len(journal.rows(j.ledger)) == 2


def look_again(journal, day, policy=POLICY):
    budget = open_budget(
        journal, Question("candidate", "champion", f"up to {day}"), data_time=NEW_YEAR + timedelta(days=day), policy=policy
    )
    assert journal.add_all(spending(budget))
    return budget


def test_looking_again_with_more_outcomes_costs_nothing_and_all_looks_together_err_no_more_than_was_paid_for(journal):
    looks = [look_again(journal, day) for day in range(8)]
    assert [one.price for one in looks] == [0.10 / 12, *[0.0] * 7]
    assert [one.alpha for one in looks[:4]] == pytest.approx([share * 0.10 / 12 for share in (0.8, 0.1, 0.05, 0.025)])
    assert sum(one.alpha for one in looks) <= 0.10 / 12
    assert len(journal.rows(j.ledger)) == 1
    assert ask(journal, 30).spent == pytest.approx(0.10 / 12)


def test_a_look_asked_again_has_its_own_answer(journal):
    looks = [look_again(journal, day) for day in range(3)]
    for day, look in enumerate(looks):
        again = look_again(journal, day, policy=GatePolicy(alpha_per_year=0.3, resume_share=0.5))
        assert again.already_spent
        assert (again.alpha, again.key) == (look.alpha, look.key)


def test_a_look_at_another_champion_is_paid_for(journal):
    look_again(journal, 0)
    assert ask(journal, 1, candidate="candidate", champion="another").price == 0.10 / 12


def test_looking_again_is_possible_when_the_year_is_spent(journal):
    look_again(journal, 0)
    for month in range(1, 12):
        spend(journal, 25 * month)
    assert ask(journal, 300).is_exhausted
    assert not look_again(journal, 301).is_exhausted


def test_what_found_the_budget_spent_pays_when_it_is_free_again(journal):
    for month in range(12):
        spend(journal, 25 * month)
    assert look_again(journal, 300).is_exhausted
    assert look_again(journal, 380).price == 0.10 / 12


def test_a_journal_from_before_there_were_looks_answers_as_it_did(journal):
    key = Question("candidate", "champion", "up to 0").key
    journal.add(j.ledger, spend=key, data_time=NEW_YEAR.isoformat(), purpose="gate", alpha=0.007)
    assert look_again(journal, 0).alpha == 0.007


def test_another_candidate_champion_or_window_is_another_question(journal):
    keys = {ask(journal, day, candidate=one, champion=other).key for day in (0, 1) for one in "ab" for other in ("c", "d", None)}
    assert len(keys) == 12


def test_the_thirteenth_gate_of_a_year_finds_the_budget_spent(journal):
    for month in range(12):
        assert not spend(journal, 30 * month).is_exhausted
    thirteenth = ask(journal, 364)
    assert thirteenth.is_exhausted
    assert spending(thirteenth) == []


def test_a_year_later_it_is_free_again(journal):
    for month in range(12):
        spend(journal, 30 * month)
    assert ask(journal, 364).is_exhausted
    assert not ask(journal, 365).is_exhausted  # the gate of day 0 no longer counts
    assert spend(journal, 365).spent == pytest.approx(0.10 * 11 / 12)
    assert ask(journal, 366).is_exhausted


def test_gates_that_come_out_of_order_cannot_overdraw_a_year(journal):
    for month in range(1, 13):
        spend(journal, 25 * month)
    assert ask(journal, 0).is_exhausted  # day 0 and the twelve after it are one year
    assert not ask(journal, -66).is_exhausted  # 365 days or more lie between this one and the last


def test_a_question_that_was_paid_for_is_answered_after_the_budget_is_spent(journal):
    for month in range(12):
        spend(journal, 30 * month)
    assert not ask(journal, 330).is_exhausted


def test_the_first_model_has_an_allowance_of_its_own(journal):
    budget = spend(journal, 0, champion=None)
    assert (budget.alpha, budget.allowed, budget.is_first, budget.is_exhausted) == (0.025, 0.025, True, False)
    assert ask(journal, 1).spent == 0.0


def test_all_attempts_at_a_first_model_together_stay_below_its_allowance(journal):
    alphas = [spend(journal, 30 * month, champion=None).alpha for month in range(12)]
    assert alphas[:3] == [0.025, 0.0125, 0.00625]
    assert sum(alphas) < 0.05


def test_fifty_two_gates_a_year_are_fifty_two(journal):
    weekly = GatePolicy(gates_per_year=52)
    assert not any(spend(journal, 7 * week, policy=weekly).is_exhausted for week in range(52))
    assert ask(journal, 364, policy=weekly).is_exhausted


def test_a_time_without_zone_is_no_data_time(journal):
    with pytest.raises(ValueError, match="without a timezone"):
        open_budget(journal, Question("a", None, "w"), data_time=datetime(2013, 1, 1), policy=POLICY)  # noqa: DTZ001 (the planted defect)
