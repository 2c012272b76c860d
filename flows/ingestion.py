"""Ingestion: every new file in the landing folders is judged, then published as a batch or quarantined with a reason."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import flow
from prefect.artifacts import create_table_artifact

from evergreen.data.batches import Intake, Judged, ingest_one
from evergreen.data.landing import Delivery, Found, find_settled, known, unjudged, why_unknown
from evergreen.files import shown
from evergreen.monitoring.doctor import Doctor
from evergreen.report.quarantine import render
from evergreen.validation import rules_of
from evergreen.workspace import Workspace, open_workspace
from flows import account
from flows.steps import step


@flow(name="ingestion", flow_run_name="ingest new deliveries", timeout_seconds=3_600, persist_result=False)
def ingest() -> list[Judged]:
    """Judge every delivery that the journal has no verdict on."""
    space = open_workspace()
    found = look_for_deliveries(space)
    judged = [judge_delivery(space, delivery) for delivery in new_deliveries(space, found)]
    judged += [Judged(path.parent.name, shown(path.name), "waiting", reason="still being written") for path in found.waiting]
    judged += [Judged(path.parent.name, shown(path.name), "unreadable", reason=why_unknown(path, space.problem)) for path in found.unknown]
    if judged:
        show(judged)
    return judged


@step()
def look_for_deliveries(space: Workspace) -> Found:
    """Look into the landing folders, and once more at what changed a moment ago."""
    settings = space.settings
    return find_settled(settings.landing, space.problem, settle_seconds=settings.settle_seconds, now=datetime.now(UTC))


@step()
def new_deliveries(space: Workspace, found: Found) -> list[Delivery]:
    """Leave out what the journal has judged already by today's rules."""
    return unjudged(found, known(space.journal), rules_of(space.problem, space.settings.expectations), root=space.settings.root)


@step(task_run_name="judge {delivery.source}/{delivery.name}", timeout_seconds=900)
def judge_delivery(space: Workspace, delivery: Delivery) -> Judged:
    """Validate one delivery, then publish or quarantine it."""
    account.progress(f"judge {delivery.source}/{delivery.name}")
    settings = space.settings
    doctor = Doctor(settings.root, space.journal, space.problem)
    intake = Intake(settings.root, settings.expectations, space.journal, render, doctor)
    return ingest_one(delivery, space.problem.source(delivery.source), intake=intake, now=datetime.now(UTC))


@step()
def show(judged: list[Judged]) -> None:
    """Leave the table in Prefect's UI."""
    rows = [{"source": j.source, "name": j.name, "outcome": j.outcome, "rows": j.rows, "reason": j.reason} for j in judged]
    create_table_artifact(key="deliveries", table=rows, description="What was delivered, and what became of it.")
