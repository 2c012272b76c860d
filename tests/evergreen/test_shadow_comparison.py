"""A version in shadow beside what served: real logs joined with real batches of outcomes, and what people read of it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from logged import put, put_decisions, put_shadowed
from toy import tasks
from workspaces import changed, deliver_days, ingest, open_space, toy_frame

from evergreen import shadows
from evergreen.contract import Problem
from evergreen.control import refresh_site
from evergreen.data.snapshots import build_frame, published_now
from evergreen.evaluation import Predicted, central_cost, measure
from evergreen.gate.checks_shadow import saved_in_shadow
from evergreen.gate.evidence import Shadowed
from evergreen.gate.statistics import paired_interval
from evergreen.journal import log
from evergreen.journal.mirror import Pair, lacking
from evergreen.limits import OnlinePolicy
from evergreen.monitoring.comparison import MOST_POINTS, Comparison, compare, shown_in_shadow
from evergreen.monitoring.outcomes import Outcomes
from evergreen.report.shadow import account_sentences, picture, shadow_sentences, side_by_side
from evergreen.report.site import Overview, render_overview
from evergreen.status import in_shadow_now, served_so_far, shadow_so_far
from evergreen.training import training_target
from evergreen.workspace import Workspace

BEFORE = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
"""Before any outcome is recorded, whatever recorded means."""
FOUR = toy_frame(1).head(4)
KEYS, TRUTH = FOUR["order_id"].tolist(), FOUR["returned"].tolist()
WRONG = [1 - one for one in TRUTH]
MISS, FALSE_ALARM = 20, 10
NOTHING = Outcomes(pd.DataFrame(), pd.Series(dtype=str), {}, set())


def cost(decisions: list[int], truth: list[int] = TRUTH) -> int:
    return sum(MISS * (y and not d) + FALSE_ALARM * (d and not y) for y, d in zip(truth, decisions, strict=True))


def said(decisions: list[int]) -> list[dict[str, Any] | str]:
    return [{"decision": one, "probability": 0.75 if one else 0.25} for one in decisions]


def seen(space: Workspace) -> Comparison:
    found = shadow_so_far(space)
    assert found is not None
    return found


def shown(space: Workspace, *, version: int = 2, champion: int | None = 1) -> Shadowed | None:
    return shown_in_shadow(
        space, build_frame(space.settings.root, published_now(space.journal, space.problem), space.problem), version, champion
    )


def costs(found: Comparison) -> dict[str, float]:
    return {row["name"]: row["cost"] for row in side_by_side(found)}


@pytest.fixture
def shadowed(space: Workspace) -> Workspace:
    """Version 1 serves, version 2 has just begun to be asked in shadow."""
    shadows.begin(space.journal, 2, reason="A try.")
    return space


def test_where_nothing_was_in_shadow_nothing_is_told(space: Workspace):
    put_decisions(space.journal, KEYS, TRUTH, asked=BEFORE)
    assert shadow_so_far(space) is None
    assert shown(space) is None
    assert in_shadow_now(space) == []
    assert "In shadow" not in refresh_site(space, []).read_text()


def test_a_version_in_shadow_before_any_data_keeps_nothing_from_being_told(empty_space: Workspace):
    shadows.begin(empty_space.journal, 2, reason="A try.")
    assert shadow_so_far(empty_space) is None
    refresh_site(empty_space, [])


def test_a_shadow_that_was_asked_nothing_yet_says_so(shadowed: Workspace):
    found = seen(shadowed)
    assert (found.compared.agreement.rows, found.compared.agreement.mean_apart, costs(found)) == (0, None, {})
    assert shadow_sentences(found, shadowed.problem) == [
        f"Version 2 is asked in shadow since {datetime.fromisoformat(found.shadow.at):%Y-%m-%d %H:%M} UTC. A try.",
        "Predictions served meanwhile: 0.",
    ]
    assert picture(found, shadowed.problem) == ""
    told = shown(shadowed)
    assert told is not None
    assert (told.scored, told.failed, told.fault, len(told.things.cluster)) == (0, 0, "", 0)


def test_answers_are_counted_each_way(shadowed: Workspace):
    put_decisions(shadowed.journal, [None] * 6, [1, 1, 1, 0, 0, 0], asked=BEFORE)
    put_shadowed(shadowed.journal, said([0, 0, 1, 1, 0, 0]))
    found = seen(shadowed).compared.agreement
    assert (found.rows, found.equal, found.to_no, found.to_yes, found.served) == (6, 3, 2, 1, {1: 6})
    assert (found.mean_apart, found.most_apart) == (0.25, 0.25)  # a half was served each time
    assert sum(count for _, _, count in found.cells) == 6
    words = " ".join(shadow_sentences(seen(shadowed), shadowed.problem))
    assert "What both answered (6) was served by version 1." in words
    assert "The decisions are the same for 50% of them: 2 times it says 0 where 1 was served, 1 times 1 where 0 was served." in words
    assert "The probabilities are 0.25 apart on average, 0.25 at most." in words
    assert "No outcome that counts is known yet of the orders that both answered." in words


def test_both_are_priced_on_the_same_things(shadowed: Workspace):
    put_decisions(shadowed.journal, KEYS, WRONG, asked=BEFORE)
    put_shadowed(shadowed.journal, said(TRUTH))
    served = served_so_far(shadowed)
    assert served is not None
    assert served.worth is not None
    assert costs(seen(shadowed)) == {"Version 1, which served": 250 * cost(WRONG), "Version 2 in shadow": 0}
    assert served.worth["cost_per_1000"] == 250 * cost(WRONG)
    words = " ".join(shadow_sentences(seen(shadowed), shadowed.problem))
    assert "For 4 orders whose outcome is known since, 1,000 cost" in words
    assert "EUR with version 1, which served, and 0 EUR with version 2." in words
    assert "That is too little to tell the difference from chance: 4 rows of 500 needed, in 1 days of 20." in words


def test_a_thing_counts_once_by_the_last_time_before_its_outcome_was_recorded_that_both_answered(shadowed: Workspace):
    first, truth = KEYS[:1], TRUTH[0]
    times = {5: truth, 0: 1 - truth, 3: 1 - truth}  # not written in the order they were asked
    for minutes, decision in times.items():
        put_decisions(shadowed.journal, first, [decision], asked=BEFORE + timedelta(minutes=minutes))
    put_decisions(shadowed.journal, first, [1 - truth], asked=datetime.now(UTC) + timedelta(minutes=1))  # too late to count
    put_decisions(shadowed.journal, first, [1 - truth], asked=BEFORE + timedelta(minutes=9))  # the version in shadow fails
    put_shadowed(shadowed.journal, [*said([1 - truth, truth, truth, truth]), "no such colour"])
    found = seen(shadowed)
    wrong = 1000 * cost([1 - truth], TRUTH[:1])
    assert costs(found) == {"Version 1, which served": 0, "Version 2 in shadow": wrong}
    assert found.compared.agreement.rows == 4
    assert "The newest failure of the model: no such colour" in shadow_sentences(found, shadowed.problem)


def test_for_the_gate_only_what_the_present_champion_served_counts(shadowed: Workspace):
    put_decisions(shadowed.journal, KEYS[:2], TRUTH[:2], asked=BEFORE, version=1)
    put_decisions(shadowed.journal, KEYS, WRONG, asked=BEFORE + timedelta(minutes=1), version=3)
    put_shadowed(shadowed.journal, said([*TRUTH[:2], *TRUTH]))
    one, three = shown(shadowed, champion=1), shown(shadowed, champion=3)
    assert one is not None
    assert three is not None
    assert one.served == three.served == {1: 2, 3: 4}
    assert (len(one.things.cluster), one.things.served.cost.sum()) == (2, 0)
    assert (len(three.things.cluster), three.things.served.cost.sum(), three.things.shadow.cost.sum()) == (4, cost(WRONG), 0)
    assert "What both answered (6) was served by version 1 (2) and version 3 (4)." in shadow_sentences(seen(shadowed), shadowed.problem)
    assert costs(seen(shadowed)) == {"What served (versions 1, 3)": 250 * cost(WRONG), "Version 2 in shadow": 0}


def test_without_a_champion_no_thing_counts_for_the_gate(shadowed: Workspace):
    put_decisions(shadowed.journal, KEYS, WRONG, asked=BEFORE, version=3)
    put_shadowed(shadowed.journal, said(TRUTH))
    told = shown(shadowed, champion=None)
    assert told is not None
    assert (told.scored, told.served, len(told.things.cluster)) == (4, {3: 4}, 0)
    assert costs(seen(shadowed)) == {"Version 3, which served": 250 * cost(WRONG), "Version 2 in shadow": 0}


def test_rows_without_features_are_shown_apart_from_failures_of_the_model(shadowed: Workspace):
    put_decisions(shadowed.journal, KEYS, TRUTH, asked=BEFORE)
    put_shadowed(shadowed.journal, [lacking(["colour"]), "no such amount", lacking(["colour", "size"])])
    words = shadow_sentences(seen(shadowed), shadowed.problem)
    assert words[1:] == [
        "Predictions served meanwhile: 4; 3 failed, 1 waiting.",
        "Of those that failed, 2 have no colour, size in the log, which version 2 wants; that says nothing of it.",
        "The newest failure of the model: no such amount",
    ]
    shadows.begin(shadowed.journal, 3, reason="Another.")
    shadows.begin(shadowed.journal, 2, reason="Again.")
    put_decisions(shadowed.journal, KEYS[:2], TRUTH[:2], asked=BEFORE)
    put_shadowed(shadowed.journal, [lacking(["size"]), lacking(["weight"])])
    told = shown(shadowed)
    assert told is not None
    assert (told.failed, told.fault, told.lacking, told.lacks) == (1, "no such amount", 4, ("colour", "size", "weight"))
    assert not any("newest failure" in sentence for sentence in shadow_sentences(seen(shadowed), shadowed.problem))


def test_the_gate_is_shown_every_time_that_a_version_was_in_shadow(shadowed: Workspace):
    put_decisions(shadowed.journal, KEYS[:2], WRONG[:2], asked=BEFORE)
    put_shadowed(shadowed.journal, [*said(TRUTH[:1]), "first"])
    shadows.begin(shadowed.journal, 3, reason="Another.")
    put_decisions(shadowed.journal, KEYS[2:3], WRONG[2:3], asked=BEFORE)
    put_shadowed(shadowed.journal, ["of another version"])
    shadows.begin(shadowed.journal, 2, reason="Again.")
    put_decisions(shadowed.journal, KEYS[3:], WRONG[3:], asked=BEFORE)
    put_shadowed(shadowed.journal, said(TRUTH[3:]))
    told = shown(shadowed)
    assert told is not None
    assert (told.scored, told.failed, told.fault, len(told.things.cluster)) == (2, 1, "first", 2)
    assert seen(shadowed).account.mirrored == 1


def test_how_often_it_may_fail_is_what_one_that_serves_may(shadowed: Workspace):
    lenient = Workspace(shadowed.settings, changed(online=OnlinePolicy(max_fault_share=0.5)), shadowed.journal)
    shares = [told.most_faults for told in (shown(shadowed), shown(lenient)) if told]
    assert shares == [0.05, 0.5]


def test_what_was_removed_from_the_log_is_compared_no_more(shadowed: Workspace):
    put_decisions(shadowed.journal, KEYS[:2], WRONG[:2], asked=BEFORE - timedelta(days=9))
    put_decisions(shadowed.journal, KEYS[2:], TRUTH[2:], asked=BEFORE)
    put_shadowed(shadowed.journal, said(TRUTH))
    assert seen(shadowed).compared.agreement.rows == 4
    log.remove_before(shadowed.journal, BEFORE, reason="old")
    found = seen(shadowed)
    assert (found.compared.agreement.rows, found.account.mirrored) == (2, 2)
    assert costs(found) == {"Version 1, which served": 0, "Version 2 in shadow": 0}


def wide(root: Path, problem: Problem, served: Any, shadow: Any) -> Comparison:
    """What is told of answers to 30 days of orders, made by functions of the truth."""
    space = open_space(root, problem=problem)
    deliver_days(space, 30)
    ingest(space)
    rows = build_frame(space.settings.root, published_now(space.journal, problem), problem).labelled
    y = training_target(rows, problem)
    shadows.begin(space.journal, 2, reason="A try.")
    put(space.journal, rows[["amount"]], served(y), entities=rows[problem.key].tolist(), asked=BEFORE)
    put_shadowed(space.journal, shadow(y).to_dict("records"))
    found = seen(space)
    assert found.compared.agreement.rows == len(rows)
    space.journal.close()
    return found


def chances(y: np.ndarray, *, by: float) -> pd.DataFrame:
    probability = np.where(y == 1, 0.5 + by, 0.5 - by)
    return pd.DataFrame({"decision": (probability >= 1 / 3).astype(int), "probability": probability})


def test_with_enough_outcomes_the_difference_has_the_gates_interval(tmp_path: Path):
    problem = tasks.contract.PROBLEM
    found = wide(tmp_path, problem, lambda y: chances(y, by=0.4), lambda y: chances(y, by=0.12))
    rows = toy_frame(30)
    y = rows["returned"].to_numpy()
    mine, theirs = (chances(y, by=by) for by in (0.12, 0.4))
    measures = [measure(problem, rows, y, Predicted(one["decision"].to_numpy(), one["probability"].to_numpy())) for one in (theirs, mine)]
    days = rows["ordered_at"].sub(pd.Timedelta(hours=1)).dt.strftime("%Y-%m-%d").to_numpy(dtype=object)
    saved = saved_in_shadow(found.compared.things, problem.gate)
    assert saved == paired_interval(measures[0] - measures[1], days, alpha=problem.gate.evidence_alpha)
    assert saved.high < 0
    words = shadow_sentences(found, problem)[-1]
    assert words.startswith(f"Over the contract's range of costs version 2 loses {-1000 * saved.estimate:,.0f} per 1,000 rows (very likely")


def test_numbers_are_compared_by_how_far_they_are_apart(tmp_path: Path):
    def off(by: float) -> Any:
        return lambda y: pd.DataFrame({"decision": y + by})

    found = wide(tmp_path, tasks.REGRESSION, off(4.0), off(-2.0))
    agreed = found.compared.agreement
    assert (agreed.equal, agreed.to_yes, agreed.to_no) == (0, 0, 0)
    assert agreed.mean_apart == pytest.approx(6)
    assert agreed.most_apart == pytest.approx(6)
    assert sum(count for *_, count in agreed.cells) <= MOST_POINTS
    assert list(costs(found).values()) == [pytest.approx(2000), pytest.approx(1000)]
    words = " ".join(shadow_sentences(found, tasks.REGRESSION))
    assert "The values are 6 apart on average, 6 at most." in words
    assert "The decisions" not in words
    assert "Version 2 saves 1,000 per 1,000 rows" in words
    assert "6 apart on average" in picture(found, tasks.REGRESSION)


def test_of_several_classes_the_decisions_are_compared(tmp_path: Path):
    found = wide(
        tmp_path, tasks.MULTICLASS, lambda y: pd.DataFrame({"decision": y}), lambda y: pd.DataFrame({"decision": np.minimum(y, 1)})
    )
    agreed = found.compared.agreement
    assert 0 < agreed.equal < agreed.rows
    assert (agreed.to_yes, agreed.to_no, agreed.mean_apart, agreed.cells) == (0, 0, None, ())
    served, shadow = costs(found).values()
    assert served == 0 < shadow
    words = " ".join(shadow_sentences(found, tasks.MULTICLASS))
    assert "The decisions are the same for" in words
    assert "says 0" not in words
    assert picture(found, tasks.MULTICLASS) == ""


def pairs(answers: Iterator[tuple[float, float]]) -> Iterator[Pair]:
    for one, other in answers:
        yield Pair(None, BEFORE.isoformat(), 1, json.dumps({"decision": one}), json.dumps({"decision": other}))


def test_of_very_many_numbers_a_part_is_drawn_and_all_are_counted():
    many = 10 * MOST_POINTS
    found = compare(pairs((float(at), float(at) + 1) for at in range(many)), NOTHING, tasks.REGRESSION).agreement
    assert (found.rows, found.mean_apart, found.most_apart) == (many, 1, 1)
    assert MOST_POINTS / 2 <= sum(count for *_, count in found.cells) <= MOST_POINTS
    early = sum(count for middle, _, count in found.cells if middle < many / 2)
    assert early == pytest.approx(sum(count for *_, count in found.cells) / 2, rel=0.1)


def test_numbers_that_are_all_the_same_can_be_drawn():
    found = compare(pairs(repeat((7.0, 7.0), 3)), NOTHING, tasks.REGRESSION).agreement
    assert (found.equal, [count for *_, count in found.cells]) == (3, [3])


def test_the_overview_shows_the_version_in_shadow_and_why_it_ended(shadowed: Workspace):
    put_decisions(shadowed.journal, KEYS, WRONG, asked=BEFORE)
    put_shadowed(shadowed.journal, [*said(TRUTH[:3]), "no such colour"])
    page = refresh_site(shadowed, []).read_text()
    assert "<h2>In shadow</h2>" in page
    for sentence in shadow_sentences(seen(shadowed), shadowed.problem):
        assert sentence in page.replace("&#39;", "'")
    assert "The same 3 orders; costs are EUR per 1,000 orders" in page
    assert "Version 2 in shadow</th>" in page
    assert '<title id="agreement-title">What both said of the same rows</title>' in page
    shadows.end(shadowed.journal, reason="Version 2 is the champion now.")
    assert "It has ended: Version 2 is the champion now." in refresh_site(shadowed, []).read_text()
    assert "In shadow" not in render_overview(Overview(), shadowed.problem)


def test_the_account_in_words(shadowed: Workspace):
    put_decisions(shadowed.journal, KEYS, WRONG, asked=BEFORE)
    put_shadowed(shadowed.journal, [*said(TRUTH[:1]), "no such colour"])
    found = seen(shadowed)
    assert in_shadow_now(shadowed) == account_sentences(found.shadow, found.account, ended="")
    assert in_shadow_now(shadowed)[-1] == "Predictions served meanwhile: 4; 1 answered, 1 failed, 2 waiting."
    shadows.end(shadowed.journal, reason="Seen enough.")
    assert in_shadow_now(shadowed) == []
    found = seen(shadowed)
    words = account_sentences(found.shadow, found.account, ended=found.ended)
    assert words[1:] == [
        "It has ended: Seen enough.",
        "Predictions served meanwhile: 4; 1 answered, 1 failed, 2 not reached before the end.",
    ]


def test_costs_are_the_contracts_central_ones(shadowed: Workspace):
    put_decisions(shadowed.journal, KEYS, TRUTH, asked=BEFORE)
    put_shadowed(shadowed.journal, said(WRONG))
    things = seen(shadowed).compared.things
    expected = central_cost(shadowed.problem, FOUR, np.array(TRUTH), Predicted(np.array(WRONG)))
    assert things.shadow.cost.tolist() == expected.tolist()
