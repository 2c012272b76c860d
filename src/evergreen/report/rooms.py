"""What the control room's sections say, as plain values for its template."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from evergreen.data.checkups import UNLIKE
from evergreen.monitoring.kinds import PUBLISHED, of_version
from evergreen.monitoring.pillars import KEPT, LOOK, PILLARS, Cell
from evergreen.quoting import BEGIN, apart
from evergreen.report.pages import day, moment, money, percent
from evergreen.report.words import counted

if TYPE_CHECKING:
    from evergreen.report.site import Overview

WORDS = {"ok": "well", "warn": "unusual", "fail": "fails", "unjudged": "not judged"}
TONES = {"ok": "good", "warn": "hold", "fail": "bad", "unjudged": "plain"}
GOOD, UNSURE, BAD, UNKNOWN = ("good", "Yes"), ("hold", "Not proven"), ("bad", "No"), ("plain", "Not known yet")
"""Whether a model is good in service, as tone and word."""
PROMISING = ("plain", "Promising")
"""Of a model whose own predictions cannot be judged yet: the gate promoted it, and it cost less than the rule of thumb then."""
WORST = 3
"""So many of the features that differ most are named."""
TOLD = 20
"""So many of the newest alerts are listed."""


def matrix(view: Overview) -> list[dict[str, Any]]:
    """Each source with its pillars: the newest state, why, and the states before it."""
    newest = _newest_rows(view)
    return [
        {"source": source, "cells": [_pillar(source, own.get(pillar, []), newest) for pillar in PILLARS]}
        for source, own in view.health.items()
    ]


def matrix_span(view: Overview) -> str:
    """The time that the marks of the matrix stand for, by the newest row of each delivery; empty where none has a time."""
    newest = _newest_rows(view)
    cells = {(source, cell.delivery) for source, known in view.health.items() for own in known.values() for cell in own[-KEPT:]}
    days = sorted(newest[one] for one in cells if one in newest)
    return f"the deliveries' newest rows are of {days[0]}{f' to {days[-1]}' if days[-1] != days[0] else ''}" if days else ""


def _newest_rows(view: Overview) -> dict[tuple[str, str], str]:
    """Of each delivery the day of its newest row, where it has one."""
    return {(row["source"], row["delivery"]): day(row["newest"]) for row in view.deliveries if row.get("newest")}


def refused_page(source: str, delivery: str) -> str:
    """Where the page of a refused delivery is, seen from the site."""
    return f"quarantine/{source}-{delivery[:16]}.html"


def refused_for(reason: str) -> str:
    """Why a delivery was refused, its values quoted; where an earlier version wrote it, only as much as has none."""
    return apart(reason) if BEGIN in reason or reason.startswith(UNLIKE) else reason.partition(":")[0]


def health_words(view: Overview) -> dict[str, str]:
    """Whether the data are well, as tone, word and sentence."""
    newest = [(source, pillar, own[-1]) for source, known in view.health.items() for pillar, own in known.items() if own]
    if not newest:
        return {"tone": "plain", "word": "Not known yet", "said": "nothing has been checked"}
    failing = [f"{source} ({pillar})" for source, pillar, cell in newest if cell.state == "fail"]
    odd = [f"{source} ({pillar})" for source, pillar, cell in newest if cell.state == "warn"]
    if failing:
        kept = " What was refused reaches no model." if any(cell.is_refused for *_, cell in newest) else ""
        return {"tone": "bad", "word": f"{_sources(failing)} not well", "said": f"{', '.join(failing)}.{kept}"}
    sources = sum(any(known.values()) for known in view.health.values())
    said = f"in all {sources} sources" + (f"; unusual, and accepted: {', '.join(odd)}" if odd else "")
    return {"tone": "good", "word": "Well", "said": said}


def worth_words(view: Overview) -> dict[str, Any] | None:
    """Whether the model in service is good: the newest window with outcomes, and what is expected of the open one."""
    judged = [(one, facts, version) for one in view.service.get("windows", []) for facts, version in _judged(one, view.champion)]
    if not judged:
        return None
    own = [one for one in judged if one[2] == view.champion] or judged
    last, facts, version = max(own, key=lambda one: (one[0]["window"], one[0]["origin"] == PUBLISHED))
    later = [one for one in view.service["windows"] if one["estimate"] and one["estimate"].get("cost") and not _is_judged(one)]
    cost, rule = facts["cost"], facts["rule_of_thumb"]
    nothing = _without_model(view, last["window"]) if last["origin"] == PUBLISHED and not last["versions"] else None
    tone, word = _is_good(facts, nothing) if version == view.champion else UNKNOWN
    return {
        **{"tone": tone, "word": word, "version": version, "is_served": last["origin"] != PUBLISHED},
        "window": last["window"],
        "cost": cost,
        "rule": rule,
        "nothing": nothing,
        "against_rule": against(cost["estimate"], rule["estimate"]),
        "against_nothing": against(cost["estimate"], nothing),
        "expected": later[-1]["estimate"]["cost"] if later else None,
        "open": later[-1]["window"] if later else None,
    }


def promise_words(row: dict[str, Any] | None, amount: str) -> dict[str, str] | None:
    """What the gate saw of the champion, as tone, word and sentence; None where it has not judged it.

    Parameters
    ----------
    row
        The newest decision on the champion: `verdict`, `version`, and what 1,000 rows cost by `candidate` and `rule of thumb`.
    """
    if row is None or row["candidate"] is None:
        return None
    cost, rule = row["candidate"], row["rule of thumb"]
    is_promising = row["verdict"].upper() == "PROMOTE" and rule is not None and cost < rule
    tone, word = PROMISING if is_promising else UNKNOWN
    rest = f", {against(cost, rule) or 'against'} the rule of thumb ({money(rule)})" if rule is not None else ""
    said = f"Judged on rows that no model had learnt from, version {row['version']} cost {money(cost)} {amount}{rest}."
    return {"tone": tone, "word": word, "said": said}


def against(cost: float, other: float | None) -> str:
    """How much less or more something costs than another, in percent; empty where that is no number."""
    if other is None or not other:
        return ""
    share = 1 - cost / other
    return f"{percent(abs(share))} {'less' if share >= 0 else 'more'} than"


def _without_model(view: Overview, window: str) -> float | None:
    """What 1,000 rows of a window would have cost by the one answer for all that turned out cheapest; None where nobody knows."""
    known = [row["realized"] for row in view.publications if row["partition"] == window and row["realized"]]
    return float(known[-1]["no_model_per_1000"]) if known else None


def _judged(window: dict[str, Any], champion: int | None) -> list[tuple[dict[str, Any], int]]:
    """The figures of a window that can be judged, with whose they are: the champion's own, else those of its only version."""
    found, whole = of_version(window["realized"], champion), window["realized"]
    if found and champion is not None:
        return [(found, champion)] if found["is_judged"] else []
    return [(whole, whole["version"])] if whole and whole["is_judged"] and not window["versions"] else []


def _is_judged(window: dict[str, Any]) -> bool:
    return bool(window["realized"] and window["realized"]["is_judged"])


def _is_good(facts: dict[str, Any], nothing: float | None) -> tuple[str, str]:
    """Whether decisions surely cost less than the rule of thumb on the same rows, and no more than the best single answer."""
    saved = facts.get("saved")
    if saved and saved["high"] < 0:
        return BAD
    is_needless = nothing is not None and facts["cost"]["estimate"] > nothing
    return GOOD if saved and saved["low"] > 0 and not is_needless else UNSURE


def too_few(view: Overview) -> str:
    """What is known of the champion's predictions where it cannot be judged yet."""
    rows = sum(found["rows"] for one in view.service.get("windows", []) if (found := of_version(one["realized"], view.champion)))
    if rows:
        return f"Only {rows:,} outcomes of its predictions are known yet, too few to judge it by"
    return "No outcome of its predictions is known yet"


def changes(view: Overview) -> list[dict[str, Any]]:
    """What drift and decay came to, newest first: one row for each window and champion."""
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for row in sorted(view.signals, key=lambda row: row["seq"]):
        facts = row["facts"]
        place = (facts["snapshot"], facts["champion"])
        known = rows.pop(place, {"window": row["window"], "version": facts["champion"]})
        rows[place] = known  # what comes back is the newest again
        moved = [one["feature"] for one in facts.get("features", ()) if one["is_drifted"]]
        known[row["kind"]] = {"state": _state(facts), "sentence": facts["sentence"], "moved": moved}
        known["window"] = max(known["window"], row["window"])
    return list(rows.values())[::-1]


def backtest_words(view: Overview) -> str:
    """What a backtest says of the contract's policy: whether retraining is worth it, and what it saved; empty where none was made."""
    told = view.backtest or {}
    return " ".join(filter(None, (str(next(iter(told.get("answer", ())), "")), _saved_by_retraining(told))))


def _saved_by_retraining(told: dict[str, Any]) -> str:
    """What the contract's policy saved against training once, over the whole period that was played again."""
    own: dict[str, Any] = next((one for one in told.get("policies", ()) if one["name"] == "contract"), {"against": {}})
    saved = own["against"].get("never")
    if not saved:
        return ""
    period, unit, things = told["period"], told["unit"], told["things"]
    when = f"with {period['rows']:,} {things} from {day(period['first'])} to {day(period['end'])}"
    if saved["word"] == "the same":
        return f"The contract's policy costs the same as training once, row by row, {when}."

    def whole(of_1000: float) -> str:
        return money(of_1000 * period["rows"] / 1000)

    verb, each = "saves" if saved["saved"] >= 0 else "loses", f"{money(abs(saved['saved']))} {unit} per 1,000 {things}"
    has_bounds = saved["low"] is not None and saved["high"] is not None
    bounds = f", between {whole(saved['low'])} and {whole(saved['high'])} saved" if has_bounds else ""
    amount = f"{whole(abs(saved['saved']))} {unit}"
    return f"The contract's policy {verb} {amount} against training once {when} ({saved['word']}{bounds}); that is {each}."


def lines(view: Overview) -> list[dict[str, Any]]:
    """Windows of published and served predictions, newest first, for the table."""
    return list(reversed(view.service.get("windows", [])))


def accuracy_words(view: Overview, amount: str) -> str:
    """How far estimates were from what came, in one sentence; empty while nothing can be compared."""
    told = view.service.get("accuracy")
    if not told or told["cost"] is None:
        return ""
    said = f"Over {counted(told['windows'], 'window')} the estimates of cost were {money(told['cost'])} {amount} off on average"
    before = told["cost_as_before"]
    return (
        f"{said}; to take the window before for the next one would have been {money(before)} {amount} off."
        if before is not None
        else f"{said}."
    )


def features_words(view: Overview) -> str:
    """How many of the rows that were served have other features in the data, and in which features most; empty where none was compared."""
    found = view.service.get("features")
    if not found:
        return ""
    if not found["rows"]:
        return "No row that was served over HTTP can be compared with the data yet."
    said = f"Of {found['rows']:,} rows served over HTTP, {found['differing']:,} have other features in the data"
    worst = [f"{one['feature']} ({percent(one['share'])})" for one in found["features"] if one["differing"]][:WORST]
    return f"{said}, most of all {', '.join(worst)}." if worst else f"{said}."


def _mark(source: str, cell: Cell, newest: dict[tuple[str, str], str]) -> tuple[str, str]:
    """A state, and whose and when it was."""
    to = newest.get((source, cell.delivery))
    rows = f", rows to {to}" if to else ""
    what = "All that was accepted" if cell.name == LOOK else f"{cell.name}{rows}"
    return cell.state, f"{what}, seen {moment(cell.at)}: {WORDS[cell.state]}"


def _pillar(source: str, cells: list[Cell], newest: dict[tuple[str, str], str]) -> dict[str, Any]:
    if not cells:
        return {"state": None}
    last, shown = cells[-1], cells[-KEPT:]
    counts = Counter(WORDS[cell.state] for cell in shown)
    return {
        "state": last.state,
        "word": WORDS[last.state],
        "tone": TONES[last.state],
        "sentences": last.sentences,
        "name": last.name,
        "page": refused_page(source, last.delivery) if last.is_refused else None,
        "marks": [_mark(source, cell, newest) for cell in shown],
        "said": f"The last {len(shown)}: {', '.join(f'{number} {word}' for word, number in counts.items())}",
    }


def _state(facts: dict[str, Any]) -> str:
    return "not judged" if not facts["is_judged"] else "found" if facts["found"] else "none"


def _sources(names: list[str]) -> str:
    sources = list(dict.fromkeys(name.partition(" ")[0] for name in names))
    return f"{sources[0]} is" if len(sources) == 1 else f"{len(sources)} sources are"
