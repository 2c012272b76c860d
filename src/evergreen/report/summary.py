"""What one round did, in Markdown: for the summary of a job, and for a comment where somebody asks for a change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from evergreen.quoting import withheld
from evergreen.report.decision import costs
from evergreen.report.pages import money, signed

SPECIAL = re.compile(r"([\\`*_\[\]#|~])")
DECIDED = ("ask", "retrain", "resume", "skip")
"""Rows of the journal that say what was made of a trigger; others count attempts."""
WHY_LINES = 4
"""So many reasons are told; the page has all."""


def summarize(record: dict[str, Any] | None, *, deliveries: Sequence[dict[str, Any]] = (), triggers: Sequence[dict[str, Any]] = ()) -> str:
    """One round as Markdown.

    Parameters
    ----------
    record
        The decision record of what was judged in it; None where nothing was.
    deliveries, triggers
        The journal's rows that came in it.
    """
    parts = [_verdict(record) if record else "### Nothing was judged", _triggers(triggers), _deliveries(deliveries)]
    return "\n\n".join(part for part in parts if part) + "\n"


def plain(text: object) -> str:
    """A text from outside, without values of a delivery: no formatting, no HTML, nobody who is told of it, one line."""
    line = " ".join(withheld(str(text)).split())
    return SPECIAL.sub(r"\\\1", line).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")


def _verdict(record: dict[str, Any]) -> str:
    candidate, champion, window = record["candidate"], record["champion"], record["window"]
    against = f"against version {champion['version']}, the champion" if champion else "the first model"
    period = f", {window['start']:.10} to {window['end']:.10}" if window["start"] else ""
    lines = [
        f"### {record['verdict'].upper()}: {plain(record['headline'])}",
        "",
        f"Version {candidate['version']}, {against}, judged on {window['rows'] or 0:,} {plain(record['entity'])}{period}.",
        "",
        f"| Decided by | {plain(record['unit'])} per 1,000 {plain(record['entity'])} | the candidate saves |",
        "|---|--:|--:|",
        *(f"| {_name(row)} | {money(row['cost'])} | {'' if row['saved'] is None else signed(row['saved'])} |" for row in costs(record)),
        "",
        *(f"- {plain(line)}" for line in record["why"][:WHY_LINES]),
    ]
    further = [("What would settle it", record["settle"]), ("What happens next", record["next"])]
    return "\n".join([*lines, *(f"\n**{title}:** {' '.join(map(plain, told))}" for title, told in further if told)])


def _name(row: dict[str, Any]) -> str:
    title = ", ".join(plain(row[part]) for part in ("title", "note") if row[part])
    return f"**{title}**" if row["name"] == "candidate" else title


def _triggers(rows: Sequence[dict[str, Any]]) -> str:
    decided = [row for row in rows if row["action"] in DECIDED]
    if not decided:
        return ""
    lines = [f"| {row['kind']} | {row['action']} | {plain(row['rule'])} | {plain(row['reason'])} |" for row in decided]
    return "\n".join(["#### What asked for it", "", "| trigger | decision | rule | reason |", "|---|---|---|---|", *lines])


def _deliveries(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return ""
    good = [row for row in rows if row["outcome"] == "published"]
    count = sum(row["row_count"] or 0 for row in good)
    sources = ", ".join(dict.fromkeys(plain(row["source"]) for row in good))
    told = f"{len(good)} published, {count:,} rows ({sources})" if good else "none published"
    bad = [row for row in rows if row["outcome"] != "published"]
    lines = [f"- **{row['outcome']}**: {plain(row['source'])}/{plain(row['name'])}: {plain(row['reason'])}" for row in bad]
    return "\n".join(["#### Deliveries", "", f"{told}.", *([""] if lines else []), *lines])
