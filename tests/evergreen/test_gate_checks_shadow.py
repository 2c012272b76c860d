import dataclasses
import json
from datetime import UTC, datetime, timedelta

import gate_evidence as given
import numpy as np
import pytest
from decision_records import make_record
from toy.contract import PROBLEM

from evergreen.gate.checks_shadow import MIN_ASKED, shadow
from evergreen.gate.decision import conclude, judge
from evergreen.gate.evidence import ANCHOR, CHAMPION, SideBySide
from evergreen.gate.finding import Outcome, Verdict
from evergreen.gate.ledger import Question, open_budget, spending
from evergreen.gate.statistics import paired_interval
from evergreen.journal import Journal
from evergreen.policies import GatePolicy
from evergreen.report.decision import render_decision

POLICY = GatePolicy()
MARGIN = 0.15
"""Of the synthetic evidence."""


def ask(seen, policy=POLICY, *, alpha=POLICY.alpha, **changes):
    return shadow(given.make_evidence(shadow=seen, **changes), policy, alpha)


def unasked(seen, rows, *lacks):
    """Beside what it was asked, so many rows that have not all features."""
    return dataclasses.replace(seen, lacking=rows, lacks=lacks)


def with_things(seen, **changes):
    return dataclasses.replace(seen, things=dataclasses.replace(seen.things, **changes))


def inverted(seen):
    """The same figures with the roles of the two swapped."""
    return with_things(seen, shadow=seen.things.served, served=seen.things.shadow)


def test_what_was_never_in_shadow_is_not_held_for_it():
    finding = ask(None)
    assert (finding.outcome, finding.reason) == (Outcome.PASS, "It was not in shadow.")


def test_a_challenger_that_was_surely_worse_in_shadow_is_held():
    finding = ask(given.make_shadowed(-0.5))
    assert finding.outcome is Outcome.HOLD
    assert finding.reason.startswith(
        "In shadow it was worse by more than the margin: on 1,000 rows it loses 500 per 1,000 rows (very likely"
    )
    assert "evergreen promote 7 --reason" in finding.settle
    assert (finding.n, finding.threshold) == (1000, -MARGIN)
    assert conclude((finding,)) is Verdict.HOLD


def test_with_the_roles_swapped_the_same_figures_pass():
    finding = ask(inverted(given.make_shadowed(-0.5)))
    assert finding.outcome is Outcome.PASS
    assert "it saves 500 per 1,000 rows" in finding.reason


def test_it_is_held_only_when_all_of_the_margin_is_surely_lost():
    worse = given.make_shadowed(-0.5)
    high = ask(worse).high
    assert ask(worse, margin=-high - 1e-9).outcome is Outcome.HOLD
    assert ask(worse, margin=-high + 1e-9).outcome is Outcome.PASS
    assert ask(given.make_shadowed(-0.5, spread=1.0)).outcome is Outcome.PASS
    assert ask(given.make_shadowed(-MARGIN / 2)).outcome is Outcome.PASS


def test_it_is_compared_by_the_gates_own_statistic_at_a_chance_of_error_that_the_policy_fixes():
    seen, policy = given.make_shadowed(-0.5), GatePolicy(evidence_alpha=0.02)
    finding = ask(seen, policy)
    expected = paired_interval(seen.things.served.measure - seen.things.shadow.measure, seen.things.cluster, alpha=0.02)
    assert (finding.estimate, finding.low, finding.high) == (expected.estimate, expected.low, expected.high)
    assert ask(seen, GatePolicy(evidence_alpha=0.2)).high < finding.high


def test_figures_that_are_held_at_the_first_look_are_held_at_the_tenth(tmp_path):
    worse = given.make_shadowed(-0.5)
    evidence = given.make_evidence(shadow=worse, margin=-ask(worse).high - 1e-9)
    journal, findings, alphas = Journal(f"sqlite:///{tmp_path / 'journal.db'}"), [], []
    for day in range(10):
        time = datetime(2013, 1, 1, tzinfo=UTC) + timedelta(days=day)
        budget = open_budget(journal, Question("candidate", "champion", f"up to day {day}"), data_time=time, policy=POLICY)
        journal.add_all(spending(budget))
        (finding,) = (one for one in judge(evidence, POLICY, budget=budget).findings if one.check == "shadow")
        findings.append(finding)
        alphas.append(budget.alpha)
    journal.close()
    assert alphas[9] == pytest.approx(alphas[1] / 2**8)
    assert findings == [findings[0]] * 10
    assert findings[0].outcome is Outcome.HOLD


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"days": 25, "per_day": 19}, "475 rows of 500 needed, in 25 days of 20."),
        ({"days": 19, "per_day": 40}, "760 rows of 500 needed, in 19 days of 20."),
        ({"days": 0}, "0 rows of 500 needed, in 0 days of 20."),
    ],
)
def test_too_few_outcomes_hold_nothing_and_are_told(how, told):
    finding = ask(given.make_shadowed(-5.0, **how) if how["days"] else nothing_known())
    assert finding.outcome is Outcome.PASS
    assert finding.reason == f"It was in shadow, but too few outcomes are known yet: {told}"
    assert finding.estimate is None


def nothing_known():
    seen, none = given.make_shadowed(), np.empty(0)
    sides = [dataclasses.replace(one, measure=none, cost=none, decision=none) for one in (seen.things.shadow, seen.things.served)]
    return dataclasses.replace(seen, things=SideBySide(*sides, cluster=none))


def test_independent_rows_need_no_clusters():
    seen = given.make_shadowed(-5.0, days=2, per_day=300)
    assert ask(seen).outcome is Outcome.PASS
    own = with_things(seen, cluster=np.arange(600))
    assert ask(own, GatePolicy(cluster="row")).outcome is Outcome.HOLD


def test_a_version_that_failed_at_more_rows_than_one_that_serves_may_is_held_and_the_newest_fault_told():
    fault = "ValueError: Found unknown categories ['new']"
    seen = given.make_shadowed(5.0, scored=94, failed=6, fault=fault)
    finding = ask(seen)
    assert finding.outcome is Outcome.HOLD
    assert finding.reason == f"In shadow it failed at 6 of 100 rows (6%; at most 5%). The newest failure: {fault}"
    assert ask(dataclasses.replace(seen, scored=95, failed=5)).outcome is Outcome.PASS
    assert ask(dataclasses.replace(seen, most_faults=0.06)).outcome is Outcome.PASS


def test_a_handful_of_failures_holds_nothing():
    seen = given.make_shadowed(5.0, scored=0, fault="no")
    assert ask(dataclasses.replace(seen, failed=MIN_ASKED - 1)).outcome is Outcome.PASS
    assert ask(dataclasses.replace(seen, failed=MIN_ASKED)).outcome is Outcome.HOLD


def test_rows_without_features_that_it_wants_are_no_failures_of_it_and_are_told():
    finding = ask(unasked(given.make_shadowed(5.0), 1_200, "colour", "size"))
    assert finding.outcome is Outcome.PASS
    assert "it saves 5,000 per 1,000 rows" in finding.reason
    assert finding.details == (
        "It could not be asked about 1,200 rows: they have no colour, size in the log, which it wants. It is not held for that.",
    )


def test_rows_without_features_hide_neither_a_failure_of_the_model_nor_what_it_lost():
    many = 1_000_000
    failing = ask(unasked(given.make_shadowed(5.0, scored=94, failed=6, fault="no"), many, "colour"))
    assert failing.outcome is Outcome.HOLD
    assert failing.reason.startswith("In shadow it failed at 6 of 100 rows")
    assert failing.details[0].startswith("It could not be asked about 1,000,000 rows")
    losing = ask(unasked(given.make_shadowed(-0.5), many, "colour"))
    assert losing.outcome is Outcome.HOLD
    assert losing.details == ask(unasked(given.make_shadowed(0.5), many, "colour")).details


def test_where_all_rows_lack_features_that_it_wants_it_could_not_be_compared_and_passes():
    seen = dataclasses.replace(nothing_known(), scored=0, served={})
    finding = ask(unasked(seen, 1_000, "colour", "size"))
    assert finding.outcome is Outcome.PASS
    assert finding.reason == "It was in shadow, but could not be compared: the log has no colour, size, which it wants."
    assert finding.details[0].startswith("It could not be asked about 1,000 rows")
    one_answered = ask(unasked(dataclasses.replace(seen, scored=1), 1_000, "colour"))
    assert one_answered.reason.startswith("It was in shadow, but too few outcomes are known yet")


def test_without_a_champion_there_is_nothing_to_compare_with_and_it_says_so():
    finding = ask(nothing_known(), first=True)
    assert finding.outcome is Outcome.PASS
    assert finding.reason == "It was in shadow, but there is no champion to compare it with."
    failing = dataclasses.replace(nothing_known(), scored=94, failed=6, fault="no")
    assert ask(failing, first=True).outcome is Outcome.HOLD
    silent = given.without(given.make_evidence(shadow=nothing_known(), silent={"champion": "it is away"}), CHAMPION, ANCHOR)
    assert shadow(silent, POLICY, POLICY.alpha).reason.startswith("It was in shadow, but too few outcomes are known yet")


def test_which_versions_served_is_told_where_it_was_not_one():
    finding = ask(given.make_shadowed(scored=900, served={6: 600, 4: 300}))
    assert finding.details == (
        "Of the 900 rows that it answered served: version 4 300, version 6 600. Only what the champion served counts.",
    )
    assert ask(given.make_shadowed()).details == ()


def test_a_champion_whose_record_fixes_no_margin_is_an_error():
    assert ask(given.make_shadowed(), margin=None).outcome is Outcome.ERROR


def test_it_is_held_beside_a_champion_that_cannot_predict_the_holdout_too():
    evidence = given.without(given.make_evidence(shadow=given.make_shadowed(-5.0), silent={"champion": "it is away"}), CHAMPION, ANCHOR)
    assert shadow(evidence, POLICY, POLICY.alpha).outcome is Outcome.HOLD


def record(saved, **changes):
    better = given.saving(
        given.saving(given.make_evidence(shadow=given.make_shadowed(saved, **changes)), 0.3, spread=0.1), 0.3, over=ANCHOR
    )
    return make_record(better)


def test_a_model_that_is_better_on_the_holdout_is_held_when_it_was_worse_in_shadow_and_promoted_when_not():
    assert (record(-0.5)["verdict"], record(0.5)["verdict"]) == (Verdict.HOLD, Verdict.PROMOTE)
    assert record(-0.5)["headline"].endswith("is held: in shadow it was worse by more than the margin.")


def test_the_record_carries_the_figures():
    told, seen = json.loads(json.dumps(record(-0.5, lacking=12, lacks=("colour",)))), given.make_shadowed(-0.5)
    assert told["shadow"] == {
        **{"scored": 1100, "failed": 0, "fault": "", "served": {"6": 1100}, "things": 1000},
        **{"lacking": 12, "lacks": ["colour"]},
        "cost_per_1000": {
            "candidate": pytest.approx(1000 * seen.things.shadow.cost.mean()),
            "champion": pytest.approx(1000 * seen.things.served.cost.mean()),
        },
    }
    assert record(0.0)["shadow"]["things"] == 1000
    assert make_record()["shadow"] is None


def test_the_page_shows_the_check():
    page = render_decision(record(-0.5, served={6: 1000, 4: 100}), PROBLEM)
    assert '<li id="check-shadow"' in page
    assert "In shadow it was worse by more than the margin: on 1,000 rows it loses 500" in page
    assert "version 4 100, version 6 1,000" in page
    assert "What did worse than the champion when both were asked the same does not take its place." in page
