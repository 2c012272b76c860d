"""Batch deployment: the champion predicts what is still to come, in its own process; predictions are written, audited, published."""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from evergreen.data.publishing import Order, Publication, publish
from evergreen.data.snapshots import frame_of, take_snapshot
from evergreen.moves import standing
from evergreen.prediction import predict_all
from evergreen.predictor import Job
from evergreen.registry import Version
from evergreen.status import is_complete
from evergreen.workspace import Workspace, open_workspace
from flows.steps import step


@flow(name="batch prediction", flow_run_name="predict what is to come", timeout_seconds=3_600, persist_result=False)
def predict_batch() -> Publication | None:
    """Publish the champion's predictions for the newest rows without outcome.

    None while there is no champion or no such row, or nothing counts any more of a source.
    """
    space = open_workspace()
    champion = find_champion(space)
    if champion is None or not is_complete(space):
        return None
    order = collect_rows(space, champion)
    if order.rows.empty:
        return None
    publication = publish_predictions(space, champion, order)
    show_publication(publication)
    return publication


@step()
def find_champion(space: Workspace) -> Version | None:
    """Ask the journal which version serves."""
    number = standing(space.journal).champion
    return space.registry.version(number) if number is not None else None


@step()
def collect_rows(space: Workspace, champion: Version) -> Order:
    """Join what is known of the rows that have no outcome yet."""
    snapshot = take_snapshot(space.journal, space.problem)
    rows = frame_of(space.settings.root, space.journal, snapshot, space.problem).still_open
    return Order(rows, champion.number, champion.artefact, snapshot.id, tuple(champion.facts["features"]))


@step()
def publish_predictions(space: Workspace, champion: Version, order: Order) -> Publication:
    """Predict in processes of their own, audit, and move the pointer."""
    problem, model, trusted = space.problem, space.registry.folder(champion), tuple(champion.facts["trusted_types"])

    def in_own_processes(files: list[tuple[Path, Path]]) -> list[Path]:
        jobs = [Job(model, rows, out, key=problem.key, trusted=trusted, chunk_rows=problem.serving.chunk_rows) for rows, out in files]
        return predict_all(jobs, seconds=problem.cost.max_predict_seconds)

    return publish(space.settings.root, space.journal, problem, order, predict=in_own_processes)


@step()
def show_publication(publication: Publication) -> None:
    """Leave in Prefect's UI what was published."""
    text = f"{publication.rows:,} predictions of version {publication.version}, from {publication.partition} on: `{publication.path.name}`"
    create_markdown_artifact(text, key="predictions", description="What the champion predicted.")
