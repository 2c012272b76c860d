"""One decision as one page: readable in a minute, complete when unfolded, without network or scripts."""

from __future__ import annotations

import json
from typing import Any

from evergreen.contract import Problem
from evergreen.quoting import apart, public
from evergreen.report import plots
from evergreen.report.pages import money, render

WORST_FIRST = {"ERROR": 0, "REJECT": 1, "HOLD": 2}
JUDGED_BY = {"champion": "champion", "anchor": "champion"}
"""The check that a contender's numbers belong to; all others are the baseline's."""
UNUSUAL = "unusual training data"
ORDER = ("candidate", "champion", "anchor", "rule of thumb", "dummy")
ROLES = {"anchor": "the best so far", "dummy": "looks at nothing"}
NUMBERS = {"estimate": "estimate", "low": "lower bound", "high": "upper bound", "threshold": "limit", "n": "rows"}


def render_decision(record: dict[str, Any], problem: Problem | None, *, overview: str | None = None) -> str:
    """The page of one decision record, as HTML in one file.

    Parameters
    ----------
    record
        What the gate recorded; see `evergreen.gate.record`.
    problem
        The contract, for what the outcome means; a page can be made without it.
    overview
        Address of the page that lists all decisions.
    """
    record = published(record)
    findings = _findings(record)
    rows = costs(record)
    return render(
        "decision.html.j2",
        r=record,
        problem_name=record["problem"],
        overview=overview,
        faults=[finding for finding in findings if not _passed(finding)],
        passed=[finding for finding in findings if _passed(finding)],
        anchors={finding["check"]: finding["id"] for finding in reversed(findings)},
        unseen=any(finding["check"] == "hygiene" and finding["outcome"] == "pass" for finding in findings),
        why=_why(record, findings),
        money=rows,
        titles={row["name"]: row["title"] for row in rows},
        averaged=any(row["cost_per_1000"] != row["measure_per_1000"] for row in rows),
        compared_by=list(dict.fromkeys(_check_of(row["against"]) for row in record["comparisons"])),
        events=max((row["events"] for row in record["frequencies"].values()), default=None),
        meaning=problem.target.meaning if problem else None,
        intervals=plots.intervals(record["comparisons"], amount=_amount(record)),
        figures=_figures(record),
        curve=_curve(record),
        changes=_changes(record.get("changes") or {}),
        metrics=_metrics(record),
        facts=[(name, value if isinstance(value, str) else json.dumps(value)) for name, value in record["facts"].items()],
    )


def published(record: dict[str, Any]) -> dict[str, Any]:
    """The record without values of the data, as the site has it."""
    unusual = record["facts"].get(UNUSUAL)
    known = {UNUSUAL: [apart(one) for one in unusual]} if isinstance(unusual, list) else {}
    told: dict[str, Any] = public(record | {"facts": record["facts"] | known})
    return told


def _amount(record: dict[str, Any]) -> str:
    return f"{record['unit']} per 1,000 {record['entity']}"


def _check_of(contender: str) -> str:
    return JUDGED_BY.get(contender, "baseline")


def _findings(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The findings, what stands in the way first, each with an id of its own."""
    found, seen = [], dict[str, int]()
    for finding in record["findings"]:
        name = finding["check"]
        seen[name] = seen.get(name, 0) + 1
        numbers = [(word, money(finding[key])) for key, word in NUMBERS.items() if finding.get(key) is not None]
        identity = f"check-{name}" if seen[name] == 1 else f"check-{name}-{seen[name]}"
        found.append(finding | {"id": identity, "numbers": numbers})
    return sorted(found, key=lambda finding: WORST_FIRST.get(finding["outcome"].upper(), len(WORST_FIRST)))


def _passed(finding: dict[str, Any]) -> bool:
    return bool(finding["outcome"].upper() == "PASS")


def _why(record: dict[str, Any], findings: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Each sentence with the check whose reason it is; those in numbers come from the one that compares."""
    source = {finding["reason"]: finding["check"] for finding in findings}
    return [(sentence, source.get(sentence, "champion" if record["champion"] else "baseline")) for sentence in record["why"]]


def _curve(record: dict[str, Any]) -> str:
    rows, trivial = record["plots"].get("learning_curve") or [], record.get("best_trivial_measure")
    return plots.learning_curve(rows, amount=_amount(record), doing_without=None if trivial is None else 1000 * trivial)


def _changes(known: dict[str, Any]) -> dict[str, Any]:
    """What changed, for the tables; each line of the code with what it is. Empty for a record of before there were any."""
    return {
        "batches": known.get("batches") or {},
        "tables": [
            ("Parameters", "Parameter", known.get("parameters") or []),
            ("Locked packages", "Package", known.get("packages") or []),
        ],
        "code": [(one["file"], [(_kind(line), line) for line in one["diff"].splitlines()]) for one in known.get("code") or []],
    }


def _kind(line: str) -> str:
    """Whether a line of a difference is new, gone, a heading, or as it was."""
    if line.startswith(("+++", "---", "@@", "...")):
        return "place"
    return {"+": "new", "-": "gone"}.get(line[:1], "same")


def costs(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The cost of every contender and what the candidate saves against it, models first."""
    own = next((row["cost_per_1000"] for row in record["money"] if row["name"] == "candidate"), None)
    rows = []
    for row in record["money"]:
        cost = row["cost_per_1000"]
        saved = None if row["name"] == "candidate" or None in (own, cost) else cost - own
        check = _check_of("champion" if row["name"] == "candidate" and record["champion"] else row["name"])
        told = row["name"] in row["label"]
        title = row["label"].removeprefix("the ") if told else row["name"]
        note = ", ".join(filter(None, ["" if told else row["label"], ROLES.get(row["name"])]))
        rows.append(row | {"cost": cost, "saved": saved, "check": check, "title": title[:1].upper() + title[1:], "note": note})
    return sorted(rows, key=lambda row: ORDER.index(row["name"]) if row["name"] in ORDER else len(ORDER))


def _figures(record: dict[str, Any]) -> list[dict[str, Any]]:
    drawn, amount = record["plots"], _amount(record)
    over_time = drawn.get("costs_over_time", []) if record["window"]["cluster"] == "days" else []  # customers, say, have no order
    known = [
        (
            "time",
            "Cost over time",
            plots.costs_over_time(over_time, amount=amount),
            "Is the difference there all along, or owed to a few days?",
        ),
        (
            "slices",
            "Cost in each part",
            plots.slices(drawn.get("slices", []), amount=amount),
            f"The number behind each name is how many {record['entity']} there were.",
        ),
        (
            "calibration",
            "Do predicted chances come true?",
            plots.calibration(drawn.get("calibration", [])),
            "On the dashed line they come true exactly as often as predicted; above it more often.",
        ),
        (
            "residuals",
            "How far off are the predictions?",
            plots.residuals(drawn.get("residuals", [])),
            "On the dashed line predictions are right on average; above it they are too low. A bar holds 8 of 10 rows.",
        ),
    ]
    return [{"name": n, "heading": h, "svg": svg, "caption": c} for n, h, svg, c in known if svg]


def _metrics(record: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """A row for each measure: its value for every contender in the record's order."""
    names = dict.fromkeys(name for values in record["metrics"].values() for name in values)
    return [(name, [money(values.get(name)) for values in record["metrics"].values()]) for name in names]
