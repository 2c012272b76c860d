"""Whether a model is good: by its own predictions in service, and before there are any by what the gate saw of it."""

from typing import Any

import pytest
from decision_records import make_record
from room_views import interval, page, service, window, worth

from evergreen.report import rooms
from evergreen.report.site import Overview


@pytest.mark.parametrize(("cost", "tone", "word"), [(6_000.0, "good", "Yes"), (6_900.0, "hold", "Not proven"), (7_300.0, "bad", "No")])
def test_a_model_is_good_when_it_surely_costs_less_than_the_rule_of_thumb(cost: float, tone: str, word: str):
    told = rooms.worth_words(Overview(champion=3, service=service(window("2026-04-01", 5_000.0), window("2026-05-01", cost))))
    assert told is not None
    assert (told["tone"], told["word"], told["window"], told["cost"]["estimate"]) == (tone, word, "2026-05-01", cost)
    assert told["expected"] is None


@pytest.mark.parametrize(("nothing", "tone"), [(6_100.0, "good"), (5_900.0, "hold")])
def test_a_model_that_one_answer_for_all_would_have_beaten_is_not_called_good(nothing: float, tone: str):
    known = {"partition": "2026-05-01", "version": 3, "rows": 900, "realized": worth(9_000.0) | {"no_model_per_1000": nothing}}
    view = Overview(champion=3, service=service(window("2026-05-01", 6_000.0)), publications=[known])
    told = rooms.worth_words(view)
    assert told is not None
    assert (told["tone"], told["nothing"]) == (tone, nothing)
    said = page(champion=3, service=view.service, publications=view.publications)
    more = "1.69% more" if nothing < 6_000 else "1.64% less"
    assert f"{more} than the best single answer for all orders, which is known only afterwards ({nothing:,.0f})." in said


def test_only_the_champions_own_predictions_say_whether_it_is_good():
    earlier = window("2026-04-01", 5_000.0)
    assert rooms.worth_words(Overview(champion=9, service=service(earlier)))["word"] == "Not known yet"
    assert "From 2026-04-01 on version 3 cost 5,000" in page(champion=9, service=service(earlier))
    mixed = window("2026-05-01", 9_000.0)
    mixed["realized"]["by_version"] = {"3": earlier["realized"], "4": mixed["realized"] | {"version": 4}}
    mixed["versions"] = [3, 4]
    told = {champion: rooms.worth_words(Overview(champion=champion, service=service(mixed))) for champion in (3, 4)}
    assert {champion: (one["word"], one["cost"]["estimate"]) for champion, one in told.items()} == {3: ("Yes", 5_000.0), 4: ("No", 9_000.0)}
    served = window("2026-06-01", 6_000.0) | {"origin": "served"}
    assert "From 2026-06-01 on version 3 cost 6,000 EUR per 1,000 rows over HTTP:" in page(champion=3, service=service(earlier, served))


def judged(verdict: str = "promote", cost: float = 6_000.0, rule: float | None = 7_500.0) -> dict[str, Any]:
    """A decision on version 7, by what the candidate and the rule of thumb cost."""
    costs = {"candidate": cost, "rule of thumb": rule}
    money = [{"name": name, "cost_per_1000": each} for name, each in costs.items() if each is not None]
    return make_record() | {"verdict": verdict, "money": money}


def tile(**values: Any) -> str:
    return page(**values).partition("Is it good? ")[2].partition(" Are the data well?")[0]


def test_a_new_champion_is_promising_by_what_the_gate_saw_and_not_known_in_service():
    said = tile(champion=7, decisions=[judged()])
    assert said == (
        "Promising Judged on rows that no model had learnt from, version 7 cost 6,000 EUR per 1,000 flights, 20% less than the rule of "
        "thumb (7,500). No outcome of its predictions is known yet."
    )
    before = tile(champion=7, decisions=[judged()], service=service(window("2026-05-01", 5_000.0)))
    assert before == f"{said} From 2026-05-01 on version 3 cost 5,000 EUR per 1,000 flights: 28.6% less than the rule of thumb (7,000)."


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (judged("hold"), "6,000 EUR"),
        (judged("reject"), "6,000 EUR"),
        (judged(cost=7_500.0), "0% less than the rule of thumb"),
        (judged(cost=8_000.0), "6.67% more than the rule of thumb"),
        (judged(rule=None), "6,000 EUR per 1,000 flights. No outcome"),
    ],
)
def test_a_champion_that_the_gate_did_not_find_cheaper_than_the_rule_of_thumb_is_not_promising(record: dict[str, Any], told: str):
    said = tile(champion=7, decisions=[record])
    assert said.startswith("Not known yet Judged on rows that no model had learnt from, version 7")
    assert told in said


def test_what_the_gate_saw_of_another_version_or_a_champions_own_figures_leave_no_promise():
    assert tile(champion=3, decisions=[judged()]).startswith("Not known yet No outcome of its predictions is known yet")
    assert tile(decisions=[judged()]) == "Not known yet No version serves yet."
    own = window("2026-05-01", 6_900.0)
    own["realized"]["version"] = 7
    assert tile(champion=7, decisions=[judged()], service=service(own)).startswith("Not proven From 2026-05-01 on version 7 cost 6,900")


def test_too_few_outcomes_are_told_as_too_few():
    few = window("2026-05-01", 6_000.0)
    few["realized"] |= {"is_judged": False, "rows": 7}
    assert rooms.worth_words(Overview(champion=3, service=service(few))) is None
    assert rooms.too_few(Overview(champion=3, service=service(few))).startswith("Only 7 outcomes of its predictions are known yet")
    assert rooms.too_few(Overview(champion=4, service=service(few))) == "No outcome of its predictions is known yet"


def test_a_paired_interval_decides_not_two_of_their_own():
    close = window("2026-05-01", 6_900.0)
    close["realized"]["saved"] = interval(100.0, 80.0, 120.0)
    assert rooms.worth_words(Overview(champion=3, service=service(close)))["word"] == "Yes"


def test_what_is_expected_of_the_open_window_is_told_beside_what_came_of_the_last():
    view = Overview(champion=3, service=service(window("2026-05-01", 6_000.0), window("2026-06-01", None, expected=6_500.0)))
    said = page(champion=3, service=view.service)
    assert "Is it good? Yes From 2026-05-01 on version 3 cost 6,000 EUR per 1,000 rows: 14.3% less than the rule of thumb (7,000)." in said
    assert "From 2026-06-01 on, 6,500 are expected." in said
    assert "none yet" in said
    assert rooms.worth_words(Overview(champion=3, service=service(window("2026-06-01", None, expected=6_500.0)))) is None


def test_the_estimates_are_held_against_what_came():
    told = service(accuracy={"windows": 5, "cost": 291.4, "cost_as_before": 336.2, "auc": None, "auc_as_before": None})
    assert rooms.accuracy_words(Overview(service=told), "EUR per 1,000 orders") == (
        "Over 5 windows the estimates of cost were 291 EUR per 1,000 orders off on average; "
        "to take the window before for the next one would have been 336 EUR per 1,000 orders off."
    )
    first = service(window("2026-05-01", 6_000.0), accuracy={"windows": 1, "cost": 76.1, "cost_as_before": None})
    assert "the estimates of cost were 76.1 EUR per 1,000 rows off on average." in page(service=first)
    assert rooms.accuracy_words(Overview(), "EUR") == ""
