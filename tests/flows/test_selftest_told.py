"""What `evergreen gate selftest` says of its results."""

import pytest

from evergreen.gate.finding import Finding, Outcome, Verdict
from evergreen.selftest.running import Result
from evergreen.selftest.trials import Trial
from flows.selftest import _said, conclusion


def tried(name: str, caught_by: tuple[str, ...] = (), outcome: Outcome = Outcome.PASS, impossible: str | None = None) -> Result:
    """A result, of which one check has this to say."""
    verdict = None if impossible else Verdict.PROMOTE if outcome is Outcome.PASS else Verdict.REJECT
    return Result(Trial(name, "", caught_by), verdict, (Finding("leakage", "", outcome, ""),), impossible)


HONEST, LEAK, NO_SLICE = tried("honest"), tried("leak", ("leakage",), Outcome.REJECT), tried("slices", ("slices",), impossible="none")


@pytest.mark.parametrize(
    ("results", "shown", "says"),
    [
        (
            [HONEST, LEAK, LEAK],
            True,
            "Each of the 2 planted defects was refused by a check meant for it, and an honest retrain was not rejected.",
        ),
        ([LEAK], True, "The planted defect was refused by a check meant for it."),
        ([HONEST], True, "An honest retrain was not rejected. No defect was to be planted."),
        (
            [LEAK, NO_SLICE],
            True,
            "The planted defect was refused by a check meant for it. Not planted: slices.",
        ),
        (
            [HONEST, NO_SLICE],
            False,
            "No defect was planted, so this shows nothing of what the gate refuses. Not planted: slices.",
        ),
        (
            [HONEST, LEAK, tried("leak", ("leakage",))],
            False,
            "The gate does not do its work on this problem yet. What each check looks at: docs/gate.md",
        ),
    ],
)
def test_the_conclusion_claims_what_was_tried_and_no_more(results: list[Result], shown: bool, says: str):
    assert conclusion(results) == (shown, says)


@pytest.mark.parametrize("honest", [Outcome.PASS, Outcome.HOLD])
def test_what_stops_the_honest_candidate_too_is_told(honest: Outcome):
    found, usual = (Finding("champion", "", outcome, "") for outcome in (Outcome.HOLD, honest))
    result = Result(Trial("underfit", "", ("champion",)), Verdict.HOLD, (found,), usual=(usual,))
    assert ("the honest candidate fares no better with champion" in _said(result)) is (honest is Outcome.HOLD)
