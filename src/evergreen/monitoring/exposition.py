"""What loop, data and model come to, for Prometheus: read from the journal, as a file or as a part of what the API counts.

Everything is a gauge or a counter whose labels are the contract's own words (sources, unit) or words of ours, so there are never many.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any, get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from evergreen import journal as tables
from evergreen.brakes import frozen
from evergreen.data.landing import quarantined
from evergreen.errors import without_passwords
from evergreen.files import write_bytes
from evergreen.gate.finding import Verdict
from evergreen.gate.ledger import spent_at
from evergreen.journal import Journal
from evergreen.monitoring import pillars, service
from evergreen.monitoring.freshness import of_sources
from evergreen.monitoring.telling import tellings
from evergreen.moves import standing
from evergreen.settings import Settings
from evergreen.triggers import SIGNALS, Action
from evergreen.workspace import Workspace

FILE, STAMP = "evergreen.prom", "look.stamp"
SECONDS = 30.0
"""The journal is read for a server at most so often."""
PATIENCE = 3
"""After so many times that long a reading that has not ended counts as one that failed."""
STATES = {"ok": 0, "warn": 1, "fail": 2}
"""What a pillar's state is as a number; one that was not judged has none."""
HOW = {
    "realized": "on the newest window whose outcomes are known",
    "rule_of_thumb": "had the rule of thumb decided there",
    "estimated": "on the newest window that was estimated before any outcome",
}
Values = Mapping[Any, float | None]
"""By the values of the labels, a tuple."""
ALONE: tuple[str, ...] = ()


def expose(space: Workspace, now: datetime, *, is_look: bool = False) -> Path:
    """Write everything into a file that node_exporter reads, atomically; returns its path. `is_look`: a look of the platform ends now.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    folder = space.settings.metrics
    if is_look:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STAMP).touch()
        os.utime(folder / STAMP, (now.timestamp(), now.timestamp()))
    registry = CollectorRegistry()
    registry.register(_Known(read(space, now)))
    told: bytes = generate_latest(registry)
    return write_bytes(folder / FILE, told)


def read(space: Workspace, now: datetime) -> list[Metric]:
    """Everything that the journal knows now; what is not known has no value.

    Raises
    ------
    JournalError
        The journal cannot be used.
    """
    return [_up(1), _gauge("evergreen_metrics_timestamp_seconds", "When this was read.", now.timestamp()), *_all(space, now)]


class Figures(Collector):
    """The same for a server's own registry, read at most every `SECONDS`; while it cannot be read there is only `evergreen_metrics_up` 0.

    One request at a time waits for the journal; the others get what was known before.

    Parameters
    ----------
    open_space
        Opens settings, contract and journal; called when they are first needed, and again while they cannot be.
    clock
        Seconds that only grow.
    """

    def __init__(self, open_space: Callable[[], Workspace], now: Callable[[], datetime], *, clock: Callable[[], float] = monotonic) -> None:
        self._open, self._now, self._clock = open_space, now, clock
        self._space: Workspace | None = None
        self._known = [_up(0)]
        self._begun: float | None = None
        """When the last reading began."""
        self._turn = Lock()
        self._fault = ""

    def collect(self) -> list[Metric]:
        """What is known; never raises."""
        if not self._turn.acquire(blocking=False):
            late = self._begun is not None and self._clock() - self._begun > PATIENCE * SECONDS
            return [_up(0)] if late else self._known
        try:
            if self._begun is None or self._clock() - self._begun >= SECONDS:
                self._begun = self._clock()
                self._known = self._read()
        finally:
            self._turn.release()
        return self._known

    def _read(self) -> list[Metric]:
        try:
            self._space = self._space or self._open()
            known = read(self._space, self._now())
        except Exception as error:  # whatever is wrong with the journal or what stands in it, the server's own counters are told
            self._note(f"{type(error).__name__}: {error}")
            space, self._space = self._space, None
            if space is not None:
                with suppress(Exception):
                    space.journal.close()
            return [_up(0)]
        self._note("")
        return known

    def _note(self, fault: str) -> None:
        """Say once what keeps it from being read: it is tried again and again."""
        if fault and fault != self._fault:
            logging.getLogger(__name__).warning("Prometheus is not told of loop, data and model: %s", without_passwords(fault))
        self._fault = fault


class _Known(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


def _all(space: Workspace, now: datetime) -> Iterator[Metric]:
    for found in (_loop(space, now), _trainings(space.journal), _data(space, now), _model(space, now)):
        yield from (one for one in found if one.samples)


def looked_at(settings: Settings) -> datetime | None:
    """When the platform's last look came to its end; None where none has."""
    with suppress(OSError):
        return datetime.fromtimestamp((settings.metrics / STAMP).stat().st_mtime, UTC)
    return None


def _loop(space: Workspace, now: datetime) -> Iterator[Metric]:
    journal, policy = space.journal, space.problem.gate
    last, decided = journal.last(tables.cycles), journal.last(tables.decisions)
    yield _gauge("evergreen_round_timestamp_seconds", "When the last round ended.", _seconds(last["at"]) if last else None)
    if looked := looked_at(space.settings):
        yield _gauge("evergreen_look_timestamp_seconds", "When the platform's last look ended.", looked.timestamp())
    yield _gauge("evergreen_poll_seconds", "How often the platform looks, by its settings.", space.settings.poll_seconds)
    yield _gauge("evergreen_decision_timestamp_seconds", "When the gate last judged.", _seconds(decided["at"]) if decided else None)
    spent = spent_at(journal, datetime.fromisoformat(decided["data_time"])) if decided else 0.0
    yield _gauge("evergreen_error_budget_spent_ratio", "Chance of promoting a worse model that the gates of the data's year took.", spent)
    yield _gauge("evergreen_error_budget_allowed_ratio", "What they may take in a year.", policy.alpha_per_year)
    yield _gauge("evergreen_frozen", "1 while promotions are frozen.", bool(frozen(journal)))
    yield _gauge("evergreen_alerts", "Causes that people were told of lately and that are not resolved.", _alerts(space, now), "kind")


def _trainings(journal: Journal) -> Iterator[Metric]:
    """What only grows."""
    rounds: Values = {ALONE: sum(journal.count(tables.cycles).values())}
    verdicts: Values = {(word,): 0 for word in Verdict} | journal.count(tables.decisions, "verdict")
    found = journal.count(tables.triggers, "kind", "action", "rule")
    reasons: Values = {key: rows for key, rows in found.items() if key[1] in get_args(Action)}
    yield _counter("evergreen_rounds", "Rounds that were gone to their end.", rounds)
    yield _counter("evergreen_decisions", "Verdicts of the gate.", verdicts, "verdict")
    yield _counter("evergreen_triggers", "Reasons to retrain: what was done, by which rule.", reasons, "kind", "action", "rule")


def _alerts(space: Workspace, now: datetime) -> Values:
    """How many causes of each kind were told so lately that one which still holds is among them: it is told once in a cooldown."""
    recent = space.problem.alerts.cooldown + timedelta(seconds=2 * space.settings.poll_seconds)
    told = {(kind,): 0 for kind in space.problem.alerts.on}
    for row in (telling[0] for telling in tellings(space.journal)):
        if (row["kind"],) in told and abs(now - datetime.fromisoformat(row["at"])) < recent:
            told[row["kind"],] += 1
    return told


def _data(space: Workspace, now: datetime) -> Iterator[Metric]:
    journal, problem = space.journal, space.problem
    lag = [one for one in of_sources(journal, problem, now) if one.behind is not None]
    behind = {(one.source,): one.behind.total_seconds() for one in lag if one.behind is not None}
    limit = {(one.source,): one.max_age.total_seconds() for one in lag if one.max_age is not None}
    yield _gauge("evergreen_source_freshness_seconds", "How far a source's newest row lies behind the contract's clock.", behind, "source")
    yield _gauge("evergreen_source_freshness_limit_seconds", "How far it may, by the contract.", limit, "source")
    last = {source.name: journal.last(tables.deliveries, source=source.name, outcome="published") for source in problem.sources}
    known = {(name,): row for name, row in last.items() if row}
    rows = {name: row["row_count"] for name, row in known.items()}
    newest = {name: _seconds(row["newest"]) for name, row in known.items() if row["newest"]}
    yield _gauge("evergreen_delivery_rows", "Rows of a source's last published delivery.", rows, "source")
    yield _gauge("evergreen_delivery_newest_timestamp_seconds", "The newest time in it.", newest, "source")
    health = pillars.history(journal, problem)
    newly = {(name, pillar): STATES.get(cells[-1].state) for name, own in health.items() for pillar, cells in own.items() if cells}
    yield _gauge("evergreen_health_state", "The last state of a pillar of a source: 0 ok, 1 warn, 2 fail.", newly, "source", "pillar")
    waiting = dict.fromkeys(((source.name,) for source in problem.sources), 0.0)
    for row in quarantined(journal):
        waiting[row["source"],] = waiting.get((row["source"],), 0.0) + 1
    yield _gauge("evergreen_quarantined_deliveries", "Refused deliveries that nothing has taken the place of.", waiting, "source")


def _model(space: Workspace, now: datetime) -> Iterator[Metric]:
    journal, problem = space.journal, space.problem
    champion, done = standing(journal).champion, journal.last(tables.promotions, state="done")
    yield _gauge("evergreen_champion_version", "The version that serves; 0 when none does.", champion or 0)
    yield _gauge("evergreen_champion_since_timestamp_seconds", "When it became champion.", _seconds(done["at"]) if done else None)
    told = service.history(journal, problem, now)
    age = told["age"]["days"] * 86_400 if told["age"] else None
    yield _gauge("evergreen_training_age_seconds", "How far the newest row that it learnt from lies behind the contract's clock.", age)
    for kind in SIGNALS:
        yield _gauge(f"evergreen_{kind}_found", f"1 when the newest window of the champion shows {kind}.", _found(journal, kind, champion))
    yield from _service(told)


def _service(told: service.Told) -> Iterator[Metric]:
    """Predictions in service, by where they were given: the newest windows whose outcomes are known, or that were estimated."""
    unit, windows = told["unit"], told["windows"]
    known = {one["origin"]: one["realized"] for one in windows if one["realized"] and one["realized"]["is_judged"]}
    foreseen = {one["origin"]: one["estimate"] for one in windows if one["estimate"] and one["estimate"]["is_judged"]}
    per = f"Cost of 1,000 {told['things']} in the contract's unit"
    for what, facts, name in (
        ("realized", known, "cost"),
        ("rule_of_thumb", known, "rule_of_thumb"),
        ("estimated", foreseen, "cost"),
    ):
        costs = {(origin, unit): _estimate(one, name) for origin, one in facts.items()}
        yield _gauge(f"evergreen_{what}_cost_per_1000", f"{per}, {HOW[what]}.", costs, "origin", "unit")
    at_best = {(origin, unit): float(one["saved"]["high"]) for origin, one in known.items() if one.get("saved")}
    help_ = f"{per}, less than the rule of thumb's, at best: below 0 the model is surely worse."
    yield _gauge("evergreen_saved_per_1000_at_best", help_, at_best, "origin", "unit")
    for what, facts in (("realized", known), ("estimated", foreseen)):
        auc = {(origin,): _estimate(one, "auc") for origin, one in facts.items()}
        yield _gauge(f"evergreen_{what}_auc", f"Area under the ROC curve, {HOW[what]}.", auc, "origin")
    bias = {(origin,): _estimate(one, "bias") for origin, one in known.items()}
    yield _gauge("evergreen_realized_bias", f"Mean prediction less what was observed, {HOW['realized']}.", bias, "origin")
    saved = {(origin, unit): _saved(windows, origin) for origin in known}
    yield _gauge("evergreen_saved_amount", "Saved against the rule of thumb, in all windows with known outcomes.", saved, "origin", "unit")


def _saved(windows: list[service.Told], origin: str) -> float:
    found = [one["realized"] for one in windows if one["origin"] == origin and one["realized"] and one["realized"]["is_judged"]]
    return float(sum(one["rows"] / 1000 * (one["rule_of_thumb"]["estimate"] - one["cost"]["estimate"]) for one in found))


def _estimate(facts: service.Told, name: str) -> float | None:
    return None if facts.get(name) is None else float(facts[name]["estimate"])


def _found(journal: Journal, kind: str, champion: int | None) -> bool | None:
    """Whether the newest window of the champion shows drift or decay; None where none was judged."""
    own = [row["facts"] for row in journal.rows(tables.signals, kind=kind) if row["facts"]["champion"] == champion]
    return bool(own[-1]["found"]) if own and own[-1]["is_judged"] else None


def _up(value: int) -> Metric:
    return _gauge("evergreen_metrics_up", "1 when the journal, which tells of loop, data and model, can be read.", value)


def _counter(name: str, told: str, values: Values, *labels: str) -> Metric:
    return _filled(CounterMetricFamily(name, told, labels=labels), values)


def _gauge(name: str, told: str, values: Values | float | None, *labels: str) -> Metric:
    return _filled(GaugeMetricFamily(name, told, labels=labels), values if isinstance(values, Mapping) else {ALONE: values})


def _filled(metric: GaugeMetricFamily | CounterMetricFamily, values: Values) -> Metric:
    for labels, value in sorted(values.items()):
        if value is not None:
            metric.add_metric(list(labels), float(value))
    return metric


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
