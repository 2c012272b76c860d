"""What `evergreen explain-prediction` says: the way of one row from its inputs to the decision."""

from __future__ import annotations

from typing import Any

from evergreen.candidate import DECISION, PROBABILITY
from evergreen.explaining import Explained, explain_published, explain_served
from evergreen.files import shown
from evergreen.workspace import open_workspace
from flows import account

WIDEST = 60
"""Characters of one value."""


def tell_explained(prediction: str, partition: str | None) -> bool:
    """Say how a prediction came about; False when its version does not give the same answer again."""
    space = open_workspace()
    with account.working("ask the version again"):
        told = explain_served(space, prediction) if partition is None else explain_published(space, partition, prediction)
    about = f" for {shown(told.entity)}" if told.entity else ""
    made = "asked" if partition is None else "published"
    account.say(f"Prediction {shown(told.name)}{about} by version {told.version}, {made} {told.asked_at:.19} UTC", style="bold")
    _tell_row("Inputs", len(told.inputs), told.inputs, {})
    _tell_stages(told)
    account.title("Answer")
    _tell_answer(told)
    for fault in told.faults:
        account.done("differs", fault, tone="bad")
    if not told.faults:
        account.done("same", "asked again, in a process of its own, the version gives the same answer, to 1e-9.", tone="good")
    return not told.faults


def _tell_stages(told: Explained) -> None:
    before, stages = told.inputs, told.way["stages"]
    for number, stage in enumerate(stages or [], 1):
        _tell_row(f"Step {number}: {stage['name']} ({stage['kind']})", stage["columns"], stage["values"], before)
        before = stage["values"]
    if stages is None:
        account.title(f"{told.way['model']} is no Pipeline of scikit-learn: what it makes of the inputs inside is not shown.")


def _tell_row(title: str, columns: int, values: dict[str, Any], before: dict[str, Any]) -> None:
    cut = f"; {len(values)} of them are shown, first those that are not 0" if len(values) < columns else ""
    account.title(f"{title}: {columns:,} column{'' if columns == 1 else 's'}{cut}")
    rows = [[shown(name), _value(value), _change(name, value, before)] for name, value in values.items()]
    account.table(["column", "value", "before"] if before else ["column", "value"], rows if before else [row[:2] for row in rows])


def _tell_answer(told: Explained) -> None:
    scores = {name: value for name, value in told.said.items() if name != DECISION}
    for name, value in scores.items():
        account.done(shown(name.removeprefix(f"{PROBABILITY}_")), f"{_value(value)} by {told.way['model']}")
    threshold, decision = told.way["threshold"], _value(told.said[DECISION])
    if threshold is not None and PROBABILITY in scores:
        side = "at least" if scores[PROBABILITY] >= threshold else "below"
        decision += f": the probability is {side} the threshold, {_value(threshold)}"
    account.done(DECISION, decision)
    account.done("logged", ", ".join(f"{shown(name)} {_value(value)}" for name, value in told.logged.items()))


def _change(name: str, value: Any, before: dict[str, Any]) -> str:
    if name not in before:
        return "new"
    return "" if before[name] == value else f"was {_value(before[name])}"


def _value(value: Any) -> str:
    if value is None:
        return "missing"
    text = f"{value:.10g}" if isinstance(value, float) else shown(str(value))
    return text if len(text) <= WIDEST else f"{text[:WIDEST]} …"
