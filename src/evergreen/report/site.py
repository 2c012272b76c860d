"""The overview of everything and the pages it links to: a folder of files that works from disk."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evergreen.contract import Problem
from evergreen.faults import reach
from evergreen.files import read_json, write_bytes, write_json
from evergreen.monitoring.comparison import Comparison
from evergreen.monitoring.online import Served
from evergreen.monitoring.pillars import KEPT, PILLARS, Cell
from evergreen.report import plots, rooms, shadow
from evergreen.report.contract import describe
from evergreen.report.decision import published, render_decision
from evergreen.report.pages import render
from evergreen.report.quarantine import on_the_site
from evergreen.report.rooms import refused_page
from evergreen.report.service_plots import NAMES, realized_and_estimated, saved_so_far

FRESH = re.compile(r"<!--fresh (\w+)-->.*?<!--/fresh-->", re.DOTALL)
"""The parts of the overview that tell what holds now."""
BACKTEST = "backtest.json"
"""What `evergreen backtest` leaves beside its page."""
COMPARED = ("candidate", "champion", "rule of thumb")


@dataclass(frozen=True)
class Overview:
    """What the overview shows; every list is oldest first, and may be empty."""

    champion: int | None = None
    """The version that serves."""
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    """Rows of `journal.deliveries`."""
    decisions: list[dict[str, Any]] = field(default_factory=list)
    """Decision records."""
    publications: list[dict[str, Any]] = field(default_factory=list)
    """What `evergreen.monitoring.performance.realized` returns: `partition`, `version`, `rows`, `realized` (None or amounts)."""
    promotions: list[dict[str, Any]] = field(default_factory=list)
    """Rows of `journal.promotions`."""
    made_at: str | None = None
    """ISO time of this view."""
    notices: list[tuple[str, str]] = field(default_factory=list)
    """What is out of the ordinary, as tone (hold or bad) and sentence."""
    served: Served | None = None
    """What became of the predictions over HTTP; None where there were none."""
    in_shadow: Comparison | None = None
    """The version that is in shadow, or was last; None where none ever was."""
    health: dict[str, dict[str, list[Cell]]] = field(default_factory=dict)
    """See `evergreen.monitoring.pillars.history`."""
    alerts: list[tuple[str, str, str]] = field(default_factory=list)
    """What holds now: kind, what happened, the command to run."""
    told: list[tuple[str, str, str]] = field(default_factory=list)
    """What people were told of: when, kind (empty where it is over) and text."""
    signals: list[dict[str, Any]] = field(default_factory=list)
    """Rows of `journal.signals` about drift and decay."""
    service: dict[str, Any] = field(default_factory=dict)
    """See `evergreen.monitoring.service.history`."""
    ahead: list[str] = field(default_factory=list)
    """What happens next, in sentences."""
    cards: dict[int, str] = field(default_factory=dict)
    """Where the card of each version is."""
    holds: str = ""
    """Digest of what holds now: a page that shows another one is out of date."""
    spoilt: dict[int, str] = field(default_factory=dict)
    """The versions that have learnt from what a person has taken back, and from what, in words."""
    doubted: frozenset[str] = frozenset()
    """The published partitions that rest on what a person has taken back."""
    apart: str = ""
    """Why the data do not go together, so that nobody can tell what predictions were worth; empty where they do."""
    backtest: dict[str, Any] | None = None
    """What a backtest of the retraining policy told; None where none was made."""


def render_overview(view: Overview, problem: Problem) -> str:
    """The control room, as HTML in one file; its links lead to pages beside it."""
    decisions = [
        _decision_row(record) | {"card": view.cards.get((record["candidate"] or {}).get("version", 0))} for record in view.decisions
    ]
    known = [row["realized"] for row in view.publications if row["realized"]]
    last = view.decisions[-1] if view.decisions else None
    unit = problem.business.unit
    per = f"per 1,000 {last['entity'] if last else 'rows'}"
    amount = f"{unit} {per}"
    own = next((row for row in decisions[::-1] if view.champion is not None and row["version"] == view.champion), None)
    done = [row for row in view.promotions if row["state"] == "done" and row["version"] == view.champion]
    return render(
        "overview.html.j2",
        v=view,
        problem_name=problem.name,
        question=problem.business.question,
        things=problem.things,
        unit=unit,
        amount=amount,
        per=per,
        decisions=decisions[::-1],
        promise=rooms.promise_words(own, amount),
        since=done[-1]["at"] if done else None,
        known=known,
        saved=sum(row["saved"] for row in known),
        saved_against_no_model=sum(row["saved_against_no_model"] for row in known),
        judged_rows=sum(row["rows"] for row in known),
        plot=plots.costs_over_decisions(decisions, amount=amount),
        **_rooms(view, problem, amount),
        sources=_sources(view, problem),
        refused=_refused(view),
        budget=last["budget"] if last else None,
        first=last is not None and last["champion"] is None,
        contract=describe(problem),
        told_of_served=served_sentences(view.served, problem) if view.served else [],
        shadow=_in_shadow(view.in_shadow, problem) if view.in_shadow else None,
    )


def write_site(folder: Path, view: Overview, problem: Problem, *, quarantine: Path | None = None, anew: bool = False) -> Path:
    """Write the overview, and page and record of every decision that has none yet; return the overview's path.

    Parameters
    ----------
    quarantine
        The folder of refused deliveries; their pages are copied into the site.
    anew
        Also write the pages of earlier decisions again, as after a change of the templates.
    """
    for record in view.decisions:
        write_decision(folder, record, problem, anew=anew)
    _copy_refused(folder, quarantine, view)
    page = write_bytes(folder / "index.html", render_overview(view, problem).encode())
    reach("after the overview")
    return page


def shows(folder: Path, holds: str) -> bool:
    """Whether the overview, if there is one, shows what holds now."""
    page = folder / "index.html"
    return not page.is_file() or f"<!--holds {holds}-->" in page.read_text()


def freshen(folder: Path, view: Overview, problem: Problem, *, quarantine: Path) -> None:
    """Bring those parts of the overview up to date that tell what holds now; the others stay as the last round wrote them."""
    _copy_refused(folder, quarantine, view)
    parts = {found[1]: found[0] for found in FRESH.finditer(render_overview(view, problem))}
    page = folder / "index.html"
    write_bytes(page, FRESH.sub(lambda found: parts.get(found[1], found[0]), page.read_text()).encode())


def write_decision(folder: Path, record: dict[str, Any], problem: Problem, *, anew: bool = False) -> tuple[Path, Path]:
    """Write a decision's page and, beside it, its record as JSON, unless they are there; return both paths.

    An override that they do not show yet (see `with_override`) has both written again.
    """
    page = folder / _page(record)
    file = page.with_suffix(".json")
    used = record.get("override_used")
    anew = anew or bool(used and file.exists() and read_json(file).get("override_used") != used)
    if anew or not page.exists():
        write_bytes(page, render_decision(record, problem, overview="../index.html").encode())
        reach("after the decision's page")
    if anew or not file.exists():  # last: it tells what the page shows
        write_json(file, published(record))
        reach("after the decision's record")
    return page, file


def with_override(record: dict[str, Any], overruled: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The record and, beside what the gate said, who has overruled it (`override_used`); see `evergreen.overrides.used`."""
    used = overruled.get(record["decision"])
    return record | {"override_used": used} if used else record


def served_sentences(served: Served, problem: Problem) -> list[str]:
    """What became of the predictions over HTTP, in words: how many count and what they were worth, then why others do not count."""
    things, unit, worth = problem.things, problem.business.unit, served.worth
    judged = int(worth["rows"]) if worth else 0
    told = [f"{served.rows:,} are in the log; for {judged:,} {things} the last one before the outcome counts."]
    if worth:
        verb = "saved" if worth["saved"] >= 0 else "lost"
        told.append(
            f"They cost {worth['cost_per_1000']:,.0f} {unit} per 1,000 {things}; rule of thumb {worth['rule_of_thumb_per_1000']:,.0f}, "
            f"no model {worth['no_model_per_1000']:,.0f}: {verb} {abs(worth['saved']):,.0f} {unit} against the rule of thumb."
        )
    others = {
        "have no outcome that counts yet": served.waiting,
        f"do not name one of the {things}, so no outcome finds them": served.without_entity,
        "name one that no delivery has brought, so neither its outcome nor what the rule of thumb would say is known": served.unknown,
        "were followed by another one for the same thing": served.repeated,
        "were asked when the outcome was recorded already": served.late,
    }
    return [*told, *(f"{count:,} {what}." for what, count in others.items() if count)]


def _rooms(view: Overview, problem: Problem, amount: str) -> dict[str, Any]:
    """What the sections say of the data, of models in service and of money."""
    last, unit = view.decisions[-1] if view.decisions else None, problem.business.unit
    known = [{"partition": row["partition"], **row["realized"]} for row in view.publications if row["realized"]]
    return {
        "why": last["headline"] if last else "",
        "reasons": last["why"][:2] if last and last["verdict"].upper() != "PROMOTE" else [],
        "matrix": rooms.matrix(view),
        "pillars": PILLARS,
        "marks": KEPT,
        "span": rooms.matrix_span(view),
        "health": rooms.health_words(view),
        "worth": rooms.worth_words(view),
        "too_few": rooms.too_few(view),
        "changes": rooms.changes(view),
        "windows": rooms.lines(view),
        "accuracy": rooms.accuracy_words(view, amount),
        "features": rooms.features_words(view),
        "backtest": rooms.backtest_words(view),
        "told": view.told[: -rooms.TOLD - 1 : -1],
        "estimates": _estimates(view, amount),
        "savings": saved_so_far(known, unit),
    }


def _estimates(view: Overview, amount: str) -> list[tuple[str, str]]:
    """Headings and plots of what predictions came to and what was expected of them."""
    windows = [one for one in view.service.get("windows", []) if one["origin"] == "published"]
    notes = {"cost": amount, "auc": "1 is perfect, 0.5 is chance"}
    drawn = [(NAMES[what], realized_and_estimated(windows, what=what, note=note)) for what, note in notes.items()]
    return [(heading, plot) for heading, plot in drawn if plot]


def _page(record: dict[str, Any]) -> str:
    return f"decisions/{record['decision']}.html"


def _decision_row(record: dict[str, Any]) -> dict[str, Any]:
    costs = {row["name"]: row["cost_per_1000"] for row in record["money"]}
    return {
        "through": (record["window"]["end"] or record["made_at"])[:10],
        "verdict": record["verdict"],
        "version": (record["candidate"] or {}).get("version"),
        "page": _page(record),
        "overruled": "override_used" in record,
        **{name: costs.get(name) for name in COMPARED},
    }


def _copy_refused(folder: Path, quarantine: Path | None, view: Overview) -> None:
    """Have the pages of refused deliveries in the site too, which is published without the quarantine and what was delivered into it."""
    for row in view.deliveries if quarantine else ():
        page = quarantine / row["source"] / row["delivery"][:16] / "index.html" if quarantine else folder
        if row["outcome"] != "quarantined" or not page.is_file():
            continue
        copy, content = folder / refused_page(row["source"], row["delivery"]), on_the_site(page.read_text(), row).encode()
        if not copy.exists() or copy.read_bytes() != content:
            write_bytes(copy, content)


def _in_shadow(seen: Comparison, problem: Problem) -> dict[str, Any]:
    told = {"sentences": shadow.shadow_sentences(seen, problem), "costs": shadow.side_by_side(seen)}
    return told | {"plot": shadow.picture(seen, problem), "things": len(seen.compared.things.cluster)}


def _sources(view: Overview, problem: Problem) -> list[tuple[str, dict[str, Any] | None]]:
    """Every source of the contract with its last delivery."""
    last = {row["source"]: _with_page(row) for row in view.deliveries}
    return [(source.name, last.get(source.name)) for source in problem.sources]


def _refused(view: Overview) -> list[dict[str, Any]]:
    """All refused deliveries, newest first; `mended` where a file of the same name was published after it."""
    refused: list[dict[str, Any]] = []
    published = set()
    for row in view.deliveries[::-1]:
        name = (row["source"], row["name"])
        if row["outcome"] == "published":
            published.add(name)
        elif row["outcome"] == "quarantined":
            refused.append(_with_page(row) | {"mended": name in published, "reason": rooms.refused_for(row["reason"])})
    return refused


def _with_page(row: dict[str, Any]) -> dict[str, Any]:
    """The row with the address of its page, where it was refused."""
    return row | {"page": refused_page(row["source"], row["delivery"]) if row["outcome"] == "quarantined" else None}
