"""How often a contract asks for a training by itself, and whether its gate has room for as many verdicts."""

from __future__ import annotations

from datetime import timedelta

from evergreen.cadence import times_a_year
from evergreen.contract import Problem
from evergreen.report.words import counted
from evergreen.triggers import PACED

YEAR = timedelta(days=365)
MANY, WEEKS = 1_000, 52


def pace(problem: Problem) -> str:
    """How often schedule and data ask, and how many verdicts the year has room for, in a sentence; empty if neither asks."""
    policy, room = problem.retraining, counted(problem.gate.gates_per_year, "verdict")
    asks = []
    if "schedule" in policy.on:
        times = times_a_year(policy.cron, most=MANY)
        asks.append(f"the schedule asks {'at least ' if times == MANY else ''}{counted(times, 'time')} a year")
    if "data" in policy.on:
        asks.append("new outcomes ask whenever they arrive")
    if not asks:
        return ""
    told = f"{' and '.join(asks)}; the gate has room for {room} a year"
    return f"{told[0].upper()}{told[1:]}, and when they are spent neither begins a training until there is room again."


def asks_too_often(problem: Problem) -> str:
    """What to set where schedule and data may ask for more verdicts than the year has room for, in a sentence; empty where they cannot."""
    policy, gates = problem.retraining, problem.gate.gates_per_year
    asks = [times_a_year(policy.cron, most=MANY) if kind == "schedule" else MANY for kind in PACED if kind in policy.on]
    most = min(sum(asks), YEAR // policy.cooldown if policy.cooldown else MANY)
    if most <= gates:
        return ""
    seldom = 'weekly: cron="30 3 * * 1"' if gates >= WEEKS else 'monthly: cron="30 3 1 * *"'
    return (
        f"If outcomes arrive more than {counted(gates, 'time')} a year, set a schedule that comes as seldom ({seldom}, with "
        f'on=("schedule", "drift", "decay")), on=("drift", "decay") alone, a cooldown of {-(-365 // gates)} days, or more '
        "gate.gates_per_year (up to 52), with which each verdict is stricter."
    )
