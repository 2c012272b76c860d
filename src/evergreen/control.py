"""Gathers what the control room shows: how things stand, what was decided, how the data are, how the models do, what comes next."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evergreen import journal as tables
from evergreen.brakes import frozen
from evergreen.cadence import next_due
from evergreen.causes import find_alerts
from evergreen.contract import Problem
from evergreen.errors import EvergreenError
from evergreen.files import digest_text, read_json
from evergreen.gate.finding import Verdict
from evergreen.gate.ledger import has_room_from
from evergreen.journal import Journal
from evergreen.monitoring import service
from evergreen.monitoring.alerts import NUMBERS, RESOLVED
from evergreen.monitoring.pillars import history as health_history
from evergreen.monitoring.pillars import why_apart
from evergreen.monitoring.telling import AGAIN, SENT
from evergreen.moves import history, standing
from evergreen.overrides import used
from evergreen.quoting import apart
from evergreen.releases import waiting
from evergreen.report.model_card import card_page, cards_of, write_cards
from evergreen.report.site import BACKTEST, Overview, freshen, shows, with_override, write_site
from evergreen.revocations import in_words, lost_from, taken_back
from evergreen.status import freshness, impasse, notices, served_so_far, shadow_so_far
from evergreen.workspace import Workspace

Sentences = tuple[list[tuple[str, str]], list[str]]
"""What is out of the ordinary, and what comes next."""


def refresh_site(space: Workspace, worth: list[dict[str, Any]]) -> Path:
    """Write the control room and the pages that it links to; returns its path."""
    settings, now = space.settings, datetime.now(UTC)
    write_cards(settings.site, cards_of(space.journal, space.problem, now))
    return write_site(settings.site, gather(space, worth, now), space.problem, quarantine=settings.root / "quarantine")


def freshen_site(space: Workspace, now: datetime) -> bool:
    """Have the control room show what holds now, where it shows something else; whether it was written.

    Answered from the journal and the landing folders: no data are read, and what needs them stays as the last round wrote it.
    """
    alerts, told, site = _alerts(space, now), (notices(space, now), ahead(space, now)), space.settings.site
    if shows(site, _digest(space, alerts, told, now)):
        return False
    freshen(site, _now(space, alerts, told, now), space.problem, quarantine=space.settings.root / "quarantine")
    return True


def _now(space: Workspace, alerts: list[tuple[str, str, str]], told: Sentences, now: datetime) -> Overview:
    """What holds now, and whence."""
    return Overview(
        deliveries=_deliveries(space),
        made_at=now.isoformat(timespec="seconds"),
        health=health_history(space.journal, space.problem),
        alerts=alerts,
        told=_told(space),
        notices=told[0],
        ahead=told[1],
        holds=_digest(space, alerts, told, now),
    )


def _digest(space: Workspace, alerts: list[tuple[str, str, str]], told: Sentences, now: datetime) -> str:
    """Names what holds now; how long it has held changes with every look, and is no news."""
    stale = [one.source for one in freshness(space, now) if one.is_stale]
    last = [at for at, _, _ in _told(space)[-1:]]
    said = [*(sentence for _, sentence in told[0]), *told[1]]
    return digest_text(*last, *stale, *said, *(NUMBERS.sub("#", "\n".join(one)) for one in alerts))


def _told(space: Workspace) -> list[tuple[str, str, str]]:
    rows = [row for row in space.journal.rows(tables.alerts) if row["kind"] not in {AGAIN, SENT}]
    return [(row["at"], "" if row["kind"] == RESOLVED else row["kind"], apart(row["text"])) for row in rows]


def gather(space: Workspace, worth: list[dict[str, Any]], now: datetime) -> Overview:
    """All that the control room shows; `worth` is what `evergreen.monitoring.performance.realized` returns."""
    journal, overruled = space.journal, used(space.journal)
    alerts, told = _alerts(space, now), (notices(space, now), ahead(space, now))
    return Overview(
        champion=standing(journal).champion,
        deliveries=_deliveries(space),
        decisions=[with_override(row["record"], overruled) for row in journal.rows(tables.decisions)],
        publications=worth,
        promotions=history(journal),
        made_at=now.isoformat(timespec="seconds"),
        notices=told[0],
        served=served_so_far(space),
        in_shadow=shadow_so_far(space),
        health=health_history(journal, space.problem),
        alerts=alerts,
        told=_told(space),
        holds=_digest(space, alerts, told, now),
        signals=journal.rows(tables.signals, kind="drift") + journal.rows(tables.signals, kind="decay"),
        service=service.history(journal, space.problem, now),
        ahead=told[1],
        apart=why_apart(journal, space.problem),
        spoilt=spoilt_versions(journal),
        doubted=doubted_partitions(journal, space.problem),
        cards={row["version"]: card_page(row["version"]) for row in journal.rows(tables.versions)},
        backtest=_backtest(space),
    )


def _deliveries(space: Workspace) -> list[dict[str, Any]]:
    """The journal's rows; what was published and taken back has that as its outcome."""
    gone = taken_back(space.journal)
    rows = space.journal.rows(tables.deliveries)
    return [row | {"outcome": "taken back"} if row["outcome"] == "published" and row["batch"] in gone else row for row in rows]


def spoilt_versions(journal: Journal) -> dict[int, str]:
    """The versions that have learnt from what a person has taken back, and from what, in words."""
    told = {row["version"]: in_words(lost_from(journal, row["snapshot"])) for row in journal.rows(tables.versions)}
    return {version: words for version, words in told.items() if words}


def doubted_partitions(journal: Journal, problem: Problem) -> frozenset[str]:
    """The published partitions that were made from rows, or by a version, that rest on what a person has taken back.

    The rows to be predicted have no outcomes, so whoever takes those back puts no doubt on what was said of them.
    """
    last, spoilt = {row["partition"]: row for row in journal.rows(tables.publications)}, spoilt_versions(journal)

    def is_doubted(row: dict[str, Any]) -> bool:
        return row["version"] in spoilt or any(one.source != problem.target.source for one in lost_from(journal, row["snapshot"]))

    return frozenset(name for name, row in last.items() if is_doubted(row))


def ahead(space: Workspace, now: datetime) -> list[str]:
    """What happens next, in sentences: by the schedule, by the data, and what waits for a person."""
    policy, journal = space.problem.retraining, space.journal
    if stops := impasse(space):
        return [stops]
    starts = [what for kind, what in (("data", "new data"), ("drift", "drift"), ("decay", "decay")) if kind in policy.on]
    told = []
    if "schedule" in policy.on:
        hour = f"{next_due(policy.cron, now):%Y-%m-%d %H:%M} UTC"
        told.append(f"The schedule asks for a training at {hour}; where there is nothing new to learn from, it is skipped.")
    if starts:
        told.append(f"Before that, {' or '.join(starts)} may ask for one, as soon as the platform or a job of `evergreen retrain` looks.")
    last = journal.last(tables.decisions)
    if last and last["verdict"] == Verdict.HOLD and last["candidate"] != standing(journal).champion:
        told.append(f"Version {last['candidate']} is held, and is judged again when more outcomes are known: `evergreen gate resume`.")
    if (record := waiting(journal)) and not frozen(journal):
        told.append(f"The next round promotes version {record['candidate']['version']}.")
    if last and (again := has_room_from(journal, data_time=datetime.fromisoformat(last["data_time"]), policy=space.problem.gate)):
        until = f"until outcomes reach {again:%Y-%m-%d}, the gate promotes nothing, and neither schedule nor new data begin a training"
        told.append(f"The error budget is spent: {until}.")
    return told


def _backtest(space: Workspace) -> dict[str, Any] | None:
    """What the last backtest told; None where there is none, none that can be read, or one of another contract."""
    file = space.settings.site / BACKTEST
    try:
        told = dict(read_json(file)) if file.is_file() else None
    except (EvergreenError, TypeError, ValueError):
        return None
    return told if told and told.get("contract") == space.problem.digest() else None


def _alerts(space: Workspace, now: datetime) -> list[tuple[str, str, str]]:
    """Kind, what happened and the command of all that holds now; that it cannot be found out is one of them."""
    try:
        return [(one.kind, one.what, one.command) for one in find_alerts(space, now)]
    except EvergreenError as error:
        return [("failure", f"What else holds cannot be found out: {error}", "evergreen status")]
