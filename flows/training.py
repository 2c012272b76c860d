"""Training: a snapshot becomes a candidate, the gate judges it on unseen rows, and the verdict is carried out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_link_artifact, create_markdown_artifact

from evergreen import resuming, retraining
from evergreen.data.snapshots import Snapshot, take_snapshot
from evergreen.examination import Examination
from evergreen.quoting import revealed
from evergreen.registry import Version
from evergreen.report.site import write_decision
from evergreen.retraining import Material
from evergreen.workspace import Workspace, open_workspace
from flows import account
from flows.steps import step

Record = dict[str, Any]


@flow(name="training", flow_run_name="train: {reason}", timeout_seconds=25_200, persist_result=False)
def train(reason: str = "asked for", tune: bool = False) -> Record:
    """Train and judge a candidate on what has been published so far; nothing new to learn from means the earlier verdict again.

    Returns
    -------
    dict
        The decision record.
    """
    space = open_workspace()
    snapshot = freeze_snapshot(space)
    record = None if tune else earlier_verdict(space, snapshot)
    if record is None:
        material = prepare_material(space, snapshot)
        candidate = make_candidate(space, material, tune)
        asked = ask_models(space, material, candidate)
        record = judge_candidate(space, material, candidate, asked)
    files = write_down(space, record)
    carry_out(space, record, files)
    show_verdict(record, files[0])
    return record


@flow(name="resumption", flow_run_name="judge a held version again", timeout_seconds=7_200, persist_result=False)
def judge_again(version: int | None = None) -> Record:
    """Judge a held version again, on everything that has matured since it was trained; without new outcomes the verdict stands.

    Returns
    -------
    dict
        The decision record.
    """
    space = open_workspace()
    candidate = resuming.held_version(space, version)
    material = prepare_unseen(space, freeze_snapshot(space), candidate)
    record = resuming.standing_verdict(space, material, candidate)
    if record is None:
        record = judge_candidate(space, material, candidate, ask_models(space, material, candidate))
    files = write_down(space, record)
    carry_out(space, record, files)
    show_verdict(record, files[0])
    return record


@step()
def freeze_snapshot(space: Workspace) -> Snapshot:
    """Freeze the list of published batches."""
    return take_snapshot(space.journal, space.problem)


@step()
def earlier_verdict(space: Workspace, snapshot: Snapshot) -> Record | None:
    """Find the verdict on this very snapshot, if there is one."""
    return retraining.earlier_verdict(space, snapshot)


@step()
def prepare_material(space: Workspace, snapshot: Snapshot) -> Material:
    """Join, validate and split."""
    material = retraining.prepare(space, snapshot)
    for warning in material.warnings:
        account.done("", f"warning: training data: {warning}", tone="hold")
    return material


@step()
def prepare_unseen(space: Workspace, snapshot: Snapshot, candidate: Version) -> Material:
    """Join, validate, and take every row that the candidate has not seen."""
    return resuming.prepare_again(space, snapshot, candidate)


@step(timeout_seconds=21_600)
def make_candidate(space: Workspace, material: Material, tune: bool) -> Version:
    """Cross-validate, fit and register."""
    return retraining.make_candidate(space, material, tuning=tune, progress=account.progress)


@step()
def ask_models(space: Workspace, material: Material, candidate: Version) -> Examination:
    """Have all compared models predict the holdout, each in a process of its own."""
    account.progress("every compared model predicts the holdout")
    return retraining.ask_models(space, material, candidate)


@step()
def judge_candidate(space: Workspace, material: Material, candidate: Version, asked: Examination) -> Record:
    """Gate the candidate."""
    account.progress("gate")
    return retraining.decide(space, material, candidate, asked)


@step()
def write_down(space: Workspace, record: Record) -> tuple[Path, Path]:
    """Write the verdict's page, and its record as JSON."""
    return write_decision(space.settings.site, record, space.problem)


@step()
def carry_out(space: Workspace, record: Record, files: tuple[Path, Path]) -> None:
    """Show the verdict in MLflow; promote, or leave everything as it is."""
    retraining.apply(space, record, files=files)


@step()
def show_verdict(record: Record, page: Path) -> None:
    """Leave the verdict in Prefect's UI, and a link to its page (which opens on the machine that the page was written on)."""
    reasons = "\n".join(f"- {sentence}" for sentence in record["why"])
    told = revealed(f"# {record['verdict'].upper()}\n\n{record['headline']}\n\n{reasons}\n")
    create_markdown_artifact(told, key="verdict", description=revealed(record["headline"]))
    create_link_artifact(page.as_uri(), "The decision on one page", key="decision", description=f"Decision {record['decision']}")
