"""One version as one page, a model card: what it is for, what it has learnt from, how it does, what it goes by and where its limits are."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from evergreen import journal as tables
from evergreen.contract import Problem
from evergreen.errors import StoreError
from evergreen.files import read_json, write_bytes, write_json
from evergreen.gate.record import json_safe
from evergreen.journal import Journal
from evergreen.monitoring.kinds import of_version
from evergreen.monitoring.service import history
from evergreen.quoting import public
from evergreen.report import plots
from evergreen.report.contract import describe
from evergreen.report.pages import render
from evergreen.report.standing import statuses
from evergreen.report.words import entity_name, percent, sentence, span
from evergreen.revocations import SHORT, taken_back

Card = dict[str, Any]
MEASURES = {"cost": "cost", "rule_of_thumb": "rule of thumb", "auc": "ROC AUC", "error": "error", "bias": "predicted less observed"}
FIT = ("calibration", "representativeness", "slices", "generalization", "stability")
"""The gate's checks whose words tell of limits even where they passed."""


def card_page(version: int) -> str:
    """Where the card of a version is, seen from the site's folder."""
    return f"models/{version}.html"


def write_cards(folder: Path, cards: list[Card], *, anew: bool = False) -> list[Path]:
    """Write the pages of those cards that have none yet or show something else than theirs, each with its JSON beside it.

    Parameters
    ----------
    anew
        Also write the others again, as after a change of the templates.

    Returns
    -------
    list of Path
        The pages that were written.
    """
    written = []
    for card in map(public, cards):
        page = folder / card_page(card["version"])
        if anew or not page.exists() or _shown(page.with_suffix(".json")) != card:
            written.append(write_bytes(page, render_card(card).encode()))
            write_json(page.with_suffix(".json"), card)  # last: it tells what the page shows
    return written


def render_card(card: Card) -> str:
    """The page of one card, as HTML in one file; its links lead to the decisions and the overview beside its folder."""
    amount = f"{card['unit']} per 1,000 {card['things']}"
    return render("model_card.html.j2", c=card, problem_name=card["problem"], amount=amount, weights=_weights(card, amount))


def cards_of(journal: Journal, problem: Problem, now: datetime) -> list[Card]:
    """What the cards of all registered versions show, oldest first, as JSON values; nothing in it changes by the passing of time alone."""
    rows = {row["version"]: row for row in journal.rows(tables.versions)}
    decided: dict[int, list[dict[str, Any]]] = {}
    for row in journal.rows(tables.decisions):
        decided.setdefault(row["candidate"], []).append(row["record"])
    measured = {row["facts"]["version"]: row["facts"] for row in journal.rows(tables.signals, kind="importance")}
    windows = history(journal, problem, now)["windows"]
    told: list[Card] = []
    for number in sorted(rows):
        records = decided.get(number, [])
        served = [one | {"realized": found} for one in windows if (found := of_version(one["realized"], number))]
        card = {
            **{"version": number, "registered": rows[number]["at"], "statuses": statuses(journal, number, records)},
            **{"decisions": [_decision(record) for record in records], "verdict": _verdict(records)},
            **_purpose(problem),
            **{"restated": rows[number]["facts"]["provenance"]["contract"] != problem.digest()},
            **{"data": _data(journal, rows[number]), "performance": _performance(measured.get(number), records, problem)},
            **{"service": [_window(one) for one in served], "importances": _importances(measured.get(number))},
            **{"limits": _limits(records), "columns": _columns(rows[number]["facts"]), "decides": _decides(problem, rows[number]["facts"])},
            **{"identity": _identity(rows[number])},
        }
        told.append(json_safe(card))
    return told


def _shown(file: Path) -> Card | None:
    try:
        return dict(read_json(file))
    except (StoreError, OSError, TypeError, ValueError):
        return None  # there is none, or it is torn


def _weights(card: Card, amount: str) -> str:
    rows = card["importances"]["features"]
    return plots.importances(rows, amount=f"{amount} more") if rows else ""


def _purpose(problem: Problem) -> Card:
    """What it is for, in the words of the contract, and what follows from that for what it is not for."""
    business, target, thing = problem.business, problem.target, entity_name(problem)
    unfit = [f"Not for another decision than this one: threshold and verdict rest on what a mistake costs there, in {business.unit}."]
    if problem.time and problem.prediction_lead:
        unfit.append(
            f"Not for an answer earlier than {span(problem.prediction_lead)} before the {thing}: what it is given is not known then."
        )
    unfit.append("Not to tell why: a feature that it goes by need not be a cause, and to change it need not change the outcome.")
    unfit.append(f"Not for {problem.things} unlike those that it has learnt from; the limits below say which those are.")
    return {
        **{"problem": problem.name, "things": problem.things, "thing": thing, "unit": business.unit, "question": business.question},
        **{"decision": sentence(business.decision), "owner": sentence(business.owner), "unfit": unfit},
        "meaning": f"“{target.name}” means: {sentence(target.meaning)}",
    }


def _data(journal: Journal, row: dict[str, Any]) -> Card:
    """What it has learnt from: rows, period, and the batches of each source with those that were taken back since."""
    facts, gone = row["facts"], taken_back(journal)
    kept = journal.last(tables.snapshots, snapshot=row["snapshot"])
    known = {one["batch"]: one for one in journal.rows(tables.deliveries, outcome="published")}
    sources = []
    for source, batches in (kept["batches"] if kept else {}).items():
        found = [known[batch] for batch in batches if batch in known]
        lost = [f"{batch[:SHORT]} {gone[batch].sentence}" for batch in batches if batch in gone]
        names = [one["name"] for one in found]
        rows = sum(one["row_count"] or 0 for one in found)
        sources.append({"source": source, "batches": len(batches), "rows": rows, "names": names, "taken_back": lost})
    wanted = ("rows", "holdout_rows", "training_start", "training_end")
    return {"snapshot": row["snapshot"], "sources": sources, **{name: facts.get(name) for name in wanted}}


def _verdict(records: list[dict[str, Any]]) -> str | None:
    return str(records[-1]["verdict"]) if records else None


def _decision(record: dict[str, Any]) -> Card:
    """The link to a decision's page, and its words."""
    wanted = ("decision", "verdict", "made_at", "headline")
    return {name: record[name] for name in wanted} | {"page": f"../decisions/{record['decision']}.html"}


def _performance(measured: Card | None, records: list[dict[str, Any]], problem: Problem) -> Card:
    """How it did on the holdout, as a whole and by slice, with intervals; of a version of before these were measured the costs alone."""
    record = records[-1] if records else {}
    told: Card = {"window": record.get("window"), "money": record.get("money") or [], "level": 1 - 2 * problem.performance.alpha}
    told["comparisons"] = record.get("comparisons") or []
    if measured and measured["is_judged"]:
        return told | {"measures": _measures(measured), "slices": [_slice(one) for one in measured["slices"]], "why": ""}
    plain = (record.get("plots") or {}).get("slices") or []
    slices = [
        {"slice": one["column"], "value": one["value"], "rows": one["n"], "cost": {"estimate": one.get("candidate")}, "auc": None}
        for one in plain
    ]
    why = measured["why"] if measured else "it was judged before intervals were kept for the card"
    return told | {"measures": [], "slices": slices, "why": why}


def _measures(told: Card) -> list[Card]:
    """The figures that are there, each with its interval."""
    return [{"name": words, **told[name]} for name, words in MEASURES.items() if told.get(name)]


def _slice(one: Card) -> Card:
    wanted = ("slice", "value", "rows")
    return {name: one[name] for name in wanted} | {"cost": one.get("cost"), "auc": one.get("auc"), "why": one.get("why", "")}


def _window(one: Card) -> Card:
    """What became of its predictions in one window of service."""
    found = one["realized"]
    wanted = {name: found.get(name) for name in ("rows", "cost", "rule_of_thumb", "auc")}
    return {"origin": one["origin"], "window": one["window"], "why": found.get("why", ""), **wanted}


def _importances(measured: Card | None) -> Card:
    """What each feature is worth; why it is not known, where it is not."""
    if measured is None:
        return {"features": [], "why": "It was not measured: the version was registered before this was done."}
    why = f"It could not be measured: {sentence(measured['unable'])}" if measured["unable"] else ""
    return {"features": measured["importances"], "why": why, **{name: measured[name] for name in ("asked", "repeats")}}


def _limits(records: list[dict[str, Any]]) -> Card:
    """What the gate warned of, what it could not judge, and what it found on fit even where it passed."""
    if not records:
        return {"warned": [], "unjudged": ["Everything: the gate has not judged it yet."], "found": []}
    record = records[-1]
    told = [{name: one[name] for name in ("check", "outcome", "reason")} for one in record["findings"]]
    passed = [one for one in told if str(one["outcome"]).lower() == "pass"]
    return {
        "warned": [one for one in told if one not in passed],
        "unjudged": record.get("not_judged") or [],
        "found": [one for one in passed if one["check"] in FIT],
    }


def _columns(facts: Card) -> list[Card]:
    """What training has seen of each feature; outside of it nobody knows what the model does."""
    told = []
    for one in facts.get("columns") or []:
        seen = (
            f"{one['low']:,g} to {one['high']:,g}"
            if one["low"] is not None
            else f"{len(one['categories'])} values"
            if one["categories"]
            else ""
        )
        listed = ", ".join(map(str, one["categories"]))
        told.append(
            {
                "name": one["name"],
                "kind": one["kind"],
                "seen": seen or "too many values to list",
                "listed": listed,
                "missing": one["nullable"],
            }
        )
    return told


def _decides(problem: Problem, facts: Card) -> list[str]:
    """From which probability on it says yes, and the costs that this follows from."""
    threshold, lines = facts.get("threshold"), []
    if threshold is not None:
        lines.append(f"It says yes from a probability of {percent(threshold)} on; this number is stored in the model and served with it.")
    elif problem.task == "regression":
        lines.append("Its answer is the number itself.")
    else:
        lines.append("It says the class that it holds most probable.")
    return [*lines, *dict(describe(problem))["What a mistake costs"]]


def _identity(row: dict[str, Any]) -> list[tuple[str, str]]:
    """Everything that it can be rebuilt from and recognized by."""
    facts = row["facts"]
    digests = [(name, str(digest)) for name, digest in facts["provenance"].items() if name != "artefact"]
    parts = [
        ("artefact", row["artefact"]),
        ("training key", row["training_key"]),
        ("MLflow run", row["run_id"]),
        ("commit", facts.get("commit")),
    ]
    return [*digests, *((name, str(value)) for name, value in parts if value)]
