"""What Prometheus is told of loop, data and model, read as Prometheus reads it."""

import re
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from in_service import AGED, eventful
from prometheus_client.parser import text_string_to_metric_families
from workspaces import open_space

from evergreen import brakes
from evergreen import journal as tables
from evergreen.errors import JournalError
from evergreen.monitoring import exposition, service
from evergreen.monitoring.exposition import Figures, expose
from evergreen.monitoring.pillars import LOOK, PILLARS
from evergreen.moves import standing
from evergreen.status import in_quarantine
from evergreen.workspace import Workspace

LABELS = {"source", "pillar", "kind", "action", "rule", "verdict", "origin", "unit"}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("eventful") / "home"
    eventful(root).journal.close()
    return root


@pytest.fixture
def space(before: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A home in which everything that there is to tell has happened, for one test."""
    shutil.copytree(before, tmp_path / "home")
    opened = open_space(tmp_path / "home", problem=AGED)
    yield opened
    opened.journal.close()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Workspace]:
    opened = open_space(tmp_path / "empty", problem=AGED)
    yield opened
    opened.journal.close()


def now() -> datetime:
    return datetime.now(UTC)


def told(space: Workspace, at: datetime | None = None, **how: Any) -> dict[str, float]:
    """Every sample by its name and labels."""
    text = expose(space, at or now(), **how).read_text()
    return {written(one): one.value for family in text_string_to_metric_families(text) for one in family.samples}


def written(sample: Any) -> str:
    labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
    return f"{sample.name}{{{labels}}}" if labels else str(sample.name)


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


def samples(figures: Figures) -> dict[str, float]:
    return {written(one): one.value for metric in figures.collect() for one in metric.samples}


def test_what_is_told_is_what_the_journal_says(space: Workspace):
    found, journal = told(space), space.journal
    window = service.history(journal, space.problem, now())["windows"][-1]
    saved = window["realized"]["rows"] / 1000 * (window["realized"]["rule_of_thumb"]["estimate"] - window["realized"]["cost"]["estimate"])
    done = journal.last(tables.promotions, state="done")
    expected = {
        "evergreen_metrics_up": 1,
        "evergreen_rounds_total": 1,
        "evergreen_decisions_total{verdict=promote}": 1,
        "evergreen_decisions_total{verdict=reject}": 0,
        "evergreen_triggers_total{action=skip,kind=schedule,rule=cooldown}": 1,
        "evergreen_frozen": 1,
        "evergreen_error_budget_allowed_ratio": space.problem.gate.alpha_per_year,
        "evergreen_alerts{kind=health}": 1,
        "evergreen_alerts{kind=decay}": 0,
        "evergreen_source_freshness_seconds{source=orders}": 0,
        "evergreen_source_freshness_limit_seconds{source=stock}": 3 * 86_400,
        "evergreen_delivery_rows{source=customers}": 300,
        "evergreen_health_state{pillar=schema,source=customers}": 2,
        "evergreen_health_state{pillar=joins,source=customers}": 0,
        "evergreen_quarantined_deliveries{source=customers}": len(in_quarantine(space)),
        "evergreen_quarantined_deliveries{source=orders}": 0,
        "evergreen_champion_version": standing(journal).champion,
        "evergreen_champion_since_timestamp_seconds": datetime.fromisoformat(done["at"]).timestamp() if done else None,
        "evergreen_realized_cost_per_1000{origin=published,unit=EUR}": window["realized"]["cost"]["estimate"],
        "evergreen_rule_of_thumb_cost_per_1000{origin=published,unit=EUR}": window["realized"]["rule_of_thumb"]["estimate"],
        "evergreen_saved_per_1000_at_best{origin=published,unit=EUR}": window["realized"]["saved"]["high"],
        "evergreen_estimated_cost_per_1000{origin=published,unit=EUR}": window["estimate"]["cost"]["estimate"],
        "evergreen_realized_auc{origin=published}": window["realized"]["auc"]["estimate"],
        "evergreen_realized_bias{origin=published}": window["realized"]["bias"]["estimate"],
        "evergreen_saved_amount{origin=published,unit=EUR}": saved,
        "evergreen_drift_found": 0,
        "evergreen_decay_found": 0,
    }
    assert {name: found.get(name) for name in expected} == pytest.approx(expected)
    assert found["evergreen_champion_version"] == 1
    assert found["evergreen_quarantined_deliveries{source=customers}"] == 1
    age = service.history(journal, space.problem, now())["age"]["days"]
    assert found["evergreen_training_age_seconds"] == pytest.approx(age * 86_400) != 0


def test_what_is_found_turns_and_a_freeze_that_ends_too(space: Workspace):
    (drift,) = space.journal.rows(tables.signals, kind="drift")
    space.journal.add(tables.signals, signal="later", kind="drift", window="later", facts=drift["facts"] | {"found": True})
    brakes.unfreeze(space.journal, root=space.settings.root, reason="audit is over", person="ann")
    found = told(space)
    assert (found["evergreen_drift_found"], found["evergreen_decay_found"], found["evergreen_frozen"]) == (1, 0, 0)


def test_what_is_not_known_has_no_value(empty: Workspace):
    found = told(empty)
    assert found["evergreen_champion_version"] == 0
    assert found["evergreen_quarantined_deliveries{source=orders}"] == 0
    unknown = ("realized", "estimated", "saved", "source", "health", "drift", "decay", "training", "decision_", "look", "delivery")
    assert [name for name in found if name.startswith(tuple(f"evergreen_{one}" for one in unknown))] == []
    assert "evergreen_round_timestamp_seconds" not in found


def test_a_finding_that_judged_nothing_has_no_value(space: Workspace):
    finding = {"pillar": "volume", "rule": "rows", "state": "unjudged", "sentence": "too few", "column": ""}
    for state in ("warn", "unjudged"):
        facts = {"findings": [finding | {"state": state}]}
        space.journal.add(tables.checkups, checkup=state, source="orders", name=LOOK, delivery=state, facts=facts)
        assert told(space).get("evergreen_health_state{pillar=volume,source=orders}") == (1 if state == "warn" else None)
    (decay,) = space.journal.rows(tables.signals, kind="decay")
    facts = decay["facts"] | {"is_judged": False, "found": False}
    space.journal.add(tables.signals, signal="later", kind="decay", window="later", facts=facts)
    assert "evergreen_decay_found" not in told(space)


def test_an_alert_counts_once_until_its_cooldown_is_over(space: Workspace):
    space.journal.add(tables.alerts, cause="a cause", kind="again", text="", after=1)
    space.journal.add(tables.alerts, cause="another", kind="health", text="", after=0)
    assert told(space)["evergreen_alerts{kind=health}"] == 2
    space.journal.add(tables.alerts, cause="a third", kind="health", text="", after=0)
    assert told(space)["evergreen_alerts{kind=health}"] == 3
    space.journal.add(tables.alerts, cause="a third", kind="resolved", text="", after=5)
    assert told(space)["evergreen_alerts{kind=health}"] == 2
    later = now() + space.problem.alerts.cooldown
    assert told(space, later)["evergreen_alerts{kind=health}"] == 2  # the look that would tell it anew may come a little later
    assert told(space, later + timedelta(hours=1))["evergreen_alerts{kind=health}"] == 0


def test_names_units_and_labels_are_as_prometheus_wants_them(space: Workspace):
    families = list(text_string_to_metric_families(expose(space, now(), is_look=True).read_text()))
    assert len(families) == len({one.name for one in families}) > 25
    for one in families:
        assert re.fullmatch(r"evergreen_[a-z]+(_[a-z0-9]+)*", one.name)
        assert one.documentation.endswith(".")
        assert all((one.type == "counter") == sample.name.endswith("_total") for sample in one.samples)
        assert {label for sample in one.samples for label in sample.labels} <= LABELS
    assert sum(len(one.samples) for one in families) < 30 * len(PILLARS)


def test_only_a_look_says_that_a_look_has_ended(space: Workspace):
    first = now() - timedelta(hours=1)
    assert told(space, first, is_look=True)["evergreen_look_timestamp_seconds"] == pytest.approx(first.timestamp())
    found = told(space)
    assert found["evergreen_look_timestamp_seconds"] == pytest.approx(first.timestamp())
    assert found["evergreen_metrics_timestamp_seconds"] > first.timestamp() + 3_500


def test_the_file_is_whole_whenever_it_is_read_and_nothing_is_left_beside_it(space: Workspace):
    at = now()
    place, stop, torn = expose(space, at, is_look=True), threading.Event(), list[str]()
    whole = place.read_text()

    def watch() -> None:
        while not stop.is_set():
            if place.read_text() != whole:
                torn.append(place.read_text())

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(20):
        expose(space, at)
    stop.set()
    watcher.join()
    assert torn == []
    assert sorted(one.name for one in place.parent.iterdir()) == ["evergreen.prom", "look.stamp"]


def test_a_server_reads_the_journal_once_in_a_while(space: Workspace):
    clock = Clock()
    figures = Figures(lambda: space, now, clock=clock)
    assert samples(figures)["evergreen_frozen"] == 1
    brakes.unfreeze(space.journal, root=space.settings.root, reason="audit is over", person="ann")
    clock.seconds += exposition.SECONDS - 1
    assert samples(figures)["evergreen_frozen"] == 1
    clock.seconds += 1
    assert samples(figures)["evergreen_frozen"] == 0


def test_a_journal_that_cannot_be_read_is_told_and_read_again_when_it_can(space: Workspace, caplog: pytest.LogCaptureFixture):
    clock, opened = Clock(), list[str]()

    def open_it() -> Workspace:
        opened.append("")
        if len(opened) == 1:
            raise JournalError("The journal cannot be used.")
        return space

    figures = Figures(open_it, now, clock=clock)
    assert samples(figures) == {"evergreen_metrics_up": 0}
    assert samples(figures) == {"evergreen_metrics_up": 0}
    assert len(opened) == 1
    clock.seconds += exposition.SECONDS - 1
    assert [one.getMessage() for one in caplog.records] == [
        "Prometheus is not told of loop, data and model: JournalError: The journal cannot be used."
    ]
    clock.seconds += exposition.SECONDS
    assert samples(figures)["evergreen_metrics_up"] == 1
    space.journal.add(tables.signals, signal="odd", kind="decay", window="odd", facts={})  # what nobody of ours has written
    clock.seconds += exposition.SECONDS
    assert samples(figures) == {"evergreen_metrics_up": 0}


def test_whoever_asks_while_the_journal_does_not_answer_waits_for_nothing(space: Workspace):
    clock, answers, asked = Clock(), threading.Event(), threading.Event()

    def open_it() -> Workspace:
        asked.set()
        answers.wait(30)
        return space

    figures = Figures(open_it, now, clock=clock)
    first = threading.Thread(target=figures.collect)
    first.start()
    assert asked.wait(30)
    assert samples(figures) == {"evergreen_metrics_up": 0}
    answers.set()
    first.join()
    assert samples(figures)["evergreen_metrics_up"] == 1
    with figures._turn:  # somebody reads, and does not come back
        clock.seconds += exposition.SECONDS
        assert samples(figures)["evergreen_metrics_up"] == 1
        clock.seconds += exposition.PATIENCE * exposition.SECONDS
        assert samples(figures) == {"evergreen_metrics_up": 0}
