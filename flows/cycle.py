"""One round of the loop: ingest, see what earlier predictions were worth, train and judge, predict what is to come."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten
from typing import Any

from prefect import flow

from evergreen import journal as tables
from evergreen import nursery
from evergreen.data.batches import Judged
from evergreen.data.publishing import Publication
from evergreen.promotion import standing
from evergreen.status import current_inputs, current_state, realized_so_far, refresh_site
from evergreen.workspace import Workspace, open_workspace
from flows import account
from flows.batch_prediction import predict_batch
from flows.ingestion import ingest
from flows.loop import DELIVERIES
from flows.training import train

TONES = {"PROMOTE": "good", "HOLD": "hold", "REJECT": "bad"}


@flow(name="cycle", flow_run_name="cycle {name}", timeout_seconds=36_000, persist_result=False)
def cycle(name: str, rehearsal: bool = False) -> bool:
    """Go once round; False when a delivery could not be read or belongs to no source.

    `name` is what arrived, or DELIVERIES; `rehearsal` stops after ingestion, while more is still to arrive.
    """
    space = open_workspace()
    with account.working("judge the deliveries"):
        judged = ingest()
    tell_deliveries(space, judged)
    complete = all(one.outcome != "unreadable" for one in judged)
    if rehearsal:
        return complete
    inputs = current_inputs(space)
    with account.working("see what earlier predictions were worth"):
        worth = realized_so_far(space)
    tell_worth(space, worth)
    with account.working("join and validate the training data"):
        record = train_and_tell(space, name)
    with account.working("predict what is to come"):
        publication = predict_batch()
    tell_predictions(space, publication)
    refresh_site(space, worth)
    serves = publication.version if publication else standing(space.journal).champion
    data, state = f"{record['window']['end'] or record['made_at']:.10}", current_state(space, inputs, serves)
    facts = {"decision": record["decision"], "data": data, "state": state}
    gone = len(space.journal.rows(tables.cycles))
    space.journal.add(tables.cycles, cycle=f"{name} {gone}" if name == DELIVERIES else name, facts=facts)
    return complete


def train_and_tell(space: Workspace, reason: str, *, tune: bool = False) -> dict[str, Any]:
    """Train and judge, then say the verdict, or that there was nothing new to learn from; returns the decision record."""
    nursery.start()  # where the models will predict: its imports take a while, and meanwhile there is enough to do here
    known = {row["decision"] for row in space.journal.rows(tables.decisions)}
    record = train(reason=reason, tune=tune)
    if record["decision"] in known:
        serves = standing(space.journal).champion
        verdict = f"the verdict on version {record['candidate']['version']} stands: {record['verdict'].upper()}"
        account.done("train", f"nothing new to learn from; {verdict}. {f'Version {serves} serves' if serves else 'No model serves'}.")
    else:
        tell_verdict(space, record)
    return record


def tell_deliveries(space: Workspace, judged: list[Judged]) -> None:
    """Say how many were published, and of every other one why it was not."""
    published = [one for one in judged if one.outcome == "published"]
    sources = ", ".join(dict.fromkeys(one.source for one in published))
    rows = sum(one.rows or 0 for one in published)
    account.done(
        "ingest", f"{len(published)} deliveries published, {rows:,} rows ({sources})" if published else "no new delivery published"
    )
    for one in judged:
        if one.outcome != "published":
            tone = "bad" if one.outcome == "quarantined" else "hold"
            account.done("", f"{one.outcome}: {one.source}/{one.name} {shorten(one.reason, 150, placeholder=' …')}", tone=tone)
            if one.page:
                account.done("", f"see {_shown(space, one.page)}")
        for warning in one.warnings:
            account.done("", f"warning: {one.source}/{one.name}: {warning}", tone="hold")


def tell_worth(space: Workspace, worth: list[dict[str, Any]]) -> None:
    """Say what the newest predictions with outcomes saved, in money."""
    known = [row for row in worth if row["realized"]]
    if not known:
        return
    last, unit, things = known[-1], space.problem.business.unit, space.problem.things
    told = last["realized"]
    account.done(
        "outcomes",
        f"version {last['version']}'s predictions from {last['partition']} on cost {told['cost_per_1000']:,.0f} {unit} per 1,000 {things}; "
        f"rule of thumb {told['rule_of_thumb_per_1000']:,.0f}, no model {told['no_model_per_1000']:,.0f}: "
        f"{'saved' if told['saved'] >= 0 else 'lost'} {abs(told['saved']):,.0f} {unit}",
        tone="good" if told["saved"] >= 0 else "bad",
    )


def tell_verdict(space: Workspace, record: dict[str, Any]) -> None:
    """Say the verdict and its first reasons."""
    candidate, window, which = record["candidate"], record["window"], "later" if space.problem.time else "other"
    account.done(
        "train",
        f"version {candidate['version']} learnt from {candidate['rows']:,} {space.problem.things}; "
        f"judged on {window['rows']:,} {which} ones",
    )
    account.done("gate", f"{record['verdict'].upper()}: {record['headline']}", tone=TONES[record["verdict"].upper()])
    if record["verdict"].upper() != "PROMOTE":
        for reason in record["why"][:2]:
            account.done("", reason)


def tell_predictions(space: Workspace, publication: Publication | None) -> None:
    """Say what was published."""
    if publication is None:
        account.done("predict", "nothing: there is no champion yet, or every row has its outcome")
    else:
        how = "published" if publication.is_new else "already published"
        since = f" from {publication.partition} on" if space.problem.time else ""
        rows = f"{publication.rows:,} {space.problem.things}{since}"
        account.done("predict", f"{rows}, {how} by version {publication.version}")


def _shown(space: Workspace, path: Path) -> str:
    home = space.settings.root.parent
    return str(path.relative_to(home)) if path.is_relative_to(home) else str(path)
