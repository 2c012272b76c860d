"""One round of the loop: ingest, see what earlier predictions were worth, train and judge, predict what is to come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from prefect import flow

from evergreen import journal as tables
from evergreen import nursery, occasions, promotion
from evergreen.brakes import frozen
from evergreen.control import refresh_site
from evergreen.data.checkups import Finding
from evergreen.data.publishing import Publication
from evergreen.errors import BusyError, EvergreenError, JoinError, JournalError, RefusedError, RegistryError
from evergreen.marking import mark
from evergreen.monitoring import measuring
from evergreen.monitoring.signals import measure
from evergreen.moves import standing
from evergreen.promotion import Ending
from evergreen.releases import waiting
from evergreen.status import current_inputs, current_state, look_at_health, realized_so_far
from evergreen.triggers import Decision, Kind, Trigger
from evergreen.workspace import Workspace, open_workspace
from flows import account
from flows.alerting import tell_alerts, tell_failed_round, tell_prometheus, tell_watcher
from flows.batch_prediction import predict_batch
from flows.ingestion import ingest
from flows.loop import DELIVERIES
from flows.news import (
    tell_deliveries,
    tell_deployed,
    tell_ending,
    tell_estimate,
    tell_health,
    tell_notices,
    tell_predictions,
    tell_retreat,
    tell_signals,
    tell_stale,
    tell_verdict,
    tell_worth,
)
from flows.online_deployment import deploy_online, step_back
from flows.server import ServerLostError
from flows.steps import step
from flows.training import carry_out, judge_again, train, write_down

MENDED = (BusyError, JournalError, RegistryError, ServerLostError, RefusedError)
"""What trying again may mend: a database is locked, a server is away, a person has moved the champion meanwhile."""

Failure = EvergreenError | TimeoutError
"""What a training fails of; Prefect's, of a step that took too long, is a TimeoutError."""


@flow(name="cycle", flow_run_name="cycle {name}", timeout_seconds=36_000, persist_result=False, on_failure=[tell_failed_round])
def cycle(name: str, kind: Kind = "person", rehearsal: bool = False) -> bool:
    """Go once round; False when a delivery could not be read or belongs to no source.

    `name` is what arrived, or DELIVERIES; `kind` is why a round is gone now; `rehearsal` stops after ingestion, while more is to arrive.
    """
    space = open_workspace()
    with account.working("judge the deliveries"):
        judged = ingest()
    tell_deliveries(space, judged)
    complete = all(one.outcome != "unreadable" for one in judged)
    if rehearsal:
        return complete
    tell_stale(space)
    tell_health(check_up(space))
    settle_what_is_due(space)
    inputs = current_inputs(space)
    with account.working("see what earlier predictions were worth"):
        worth = realized_so_far(space)
    tell_worth(space, worth)
    with account.working("see whether the world has changed"):
        tell_signals(watch(space))
    record, failure = answer_or_go_on(space, kind, name)
    with raised_at_the_end(failure):
        with account.working("see that the API serves the champion"):
            deployed = deploy_online()
        tell_deployed(deployed)
        publication = predict(space)
        tell_estimate(space, publication, foresee(space))
        refresh_site(space, worth)
    serves = publication.version if publication else standing(space.journal).champion
    close_round(space, name, record, current_state(space, inputs, serves))
    tell_alerts(space, datetime.now(UTC))
    tell_prometheus(space, datetime.now(UTC))
    tell_watcher(space)
    return complete


def answer_or_go_on(space: Workspace, kind: Kind, reason: str) -> tuple[dict[str, Any] | None, Failure | None]:
    """Answer the reason for this round; where that fails for good, what serves goes on, and the error is raised at the round's end.

    Returns
    -------
    tuple
        The decision record, None when nothing was judged; and what failed, None when nothing did.
    """
    try:
        return answer(space, kind, reason), None
    except MENDED:
        raise
    except (EvergreenError, TimeoutError) as error:
        serves = standing(space.journal).champion
        rest = f"version {serves} goes on predicting" if serves else "no model serves"
        account.done("train", f"failed, and so does this round, at its end; {rest}: {error}", tone="bad")
        return None, error


@contextmanager
def raised_at_the_end(failure: Failure | None) -> Iterator[None]:
    """Do what a round does after its training, then raise what failed there: it is the cause, whatever else fails after it."""
    try:
        yield
    except EvergreenError as later:
        if failure is None:
            raise
        account.done("", f"after the failed training: {later}", tone="bad")
        raise failure from later
    if failure is not None:
        raise failure


def answer(space: Workspace, kind: Kind, reason: str) -> dict[str, Any] | None:
    """Decide what is made of the reason for this round, and do it; returns the decision record, None when nothing was judged."""
    trigger, decision = decide_on(space, kind)
    if decision.action == "skip" and kind != "person":
        account.done("trigger", f"{trigger.kind}: skipped, {decision.reason}")
        return None
    try:
        with account.working("join and validate the training data"):
            if decision.action == "resume":
                return judge_again_and_tell(space, None)
            record = train_and_tell(space, reason)
    except MENDED:
        raise
    except EvergreenError as error:
        if decision.action == "retrain":
            occasions.record_failure(space.journal, trigger, error)
        raise
    occasions.record_answer(space.journal, trigger)
    return record


def predict(space: Workspace) -> Publication | None:
    """Publish the champion's predictions, and say so; where the data do not go together, that there are none, and why.

    Then the round ends all the same: to go it again would mend nothing, and what is wrong is told as long as it holds.
    """
    try:
        with account.working("predict what is to come"):
            publication = predict_batch()
    except JoinError as error:
        account.done("predict", f"nothing: {error}", tone="bad")
        return None
    tell_predictions(space, publication)
    return publication


@step()
def check_up(space: Workspace) -> list[Finding]:
    """See how fresh all that was accepted is, and how well it goes together."""
    return look_at_health(space, datetime.now(UTC))


@step()
def watch(space: Workspace) -> list[dict[str, Any]]:
    """Measure how predictions in service did, and drift and decay of the version that serves."""
    with suppress(JoinError):  # the look at health has told it; whoever trains on it fails of it, and that is written down there
        measuring.measure(space, with_age=False)
        return measure(space)
    return []


@step()
def foresee(space: Workspace) -> dict[str, Any] | None:
    """See how the versions grow old, now that it is known which one serves, and estimate what was published just now."""
    with suppress(JoinError):  # as in `watch`
        measuring.measure_age(space)
        return measuring.estimate_published(space)
    return None


@step()
def decide_on(space: Workspace, kind: Kind) -> tuple[Trigger, Decision]:
    """Hold the reason for a round against the contract's policy, and write down what is made of it.

    Where it is skipped, another reason may be as good: a round for a drift finds data that arrived meanwhile.
    """
    kinds = dict.fromkeys([kind, *(() if kind == "person" else occasions.BY_THEMSELVES)])
    skipped = []
    for trigger, decision in occasions.weigh(space, kinds, datetime.now(UTC)):
        occasions.record(space.journal, trigger, decision)
        if decision.action != "skip":
            return trigger, decision
        skipped.append((trigger, decision))
    nothing = Trigger(kind, ""), Decision("skip", "nothing new", "there is nothing new to learn from, or it was answered already")
    return skipped[0] if skipped else nothing


def close_round(space: Workspace, name: str, record: dict[str, Any] | None, state: str) -> None:
    """Write down that a round has been gone to its end."""
    last = space.journal.last(tables.decisions)
    told = record or (last["record"] if last else None)
    facts = {"decision": record["decision"] if record else None, "data": _through(told), "state": state}
    gone = len(space.journal.rows(tables.cycles))
    space.journal.add(tables.cycles, cycle=f"{name} {gone}" if name == DELIVERIES else name, facts=facts)


def _through(record: dict[str, Any] | None) -> str:
    return "" if record is None else f"{record['window']['end'] or record['made_at']:.10}"


def train_and_tell(space: Workspace, reason: str, *, tune: bool = False) -> dict[str, Any]:
    """Train and judge, then say the verdict, or that there was nothing new to learn from; returns the decision record."""
    known = _begin(space)
    record = train(reason=reason, tune=tune)
    return _told(space, record, known, "train", "nothing new to learn from")


def judge_again_and_tell(space: Workspace, version: int | None) -> dict[str, Any]:
    """Judge a held version on what has matured since, and say the verdict, or that nothing has; returns the decision record."""
    known = _begin(space)
    record = judge_again(version)
    return _told(space, record, known, "gate", "no new outcomes have matured")


def _begin(space: Workspace) -> set[str]:
    nursery.start()  # where the models will predict: its imports take a while, and meanwhile there is enough to do here
    return {row["decision"] for row in space.journal.rows(tables.decisions)}


def _told(space: Workspace, record: dict[str, Any], known: set[str], what: str, nothing: str) -> dict[str, Any]:
    if record["decision"] in known:
        serves = standing(space.journal).champion
        verdict = f"the verdict on version {record['candidate']['version']} stands: {record['verdict'].upper()}"
        account.done(what, f"{nothing}; {verdict}. {f'Version {serves} serves' if serves else 'No model serves'}.")
    else:
        tell_verdict(space, record)
    tell_notices(space)
    return record


def settle_what_is_due(space: Workspace) -> None:
    """Show what was taken back, go back from an override that has expired, and carry out a PROMOTE that waited for a freeze to end."""
    show_taken_back(space)
    tell_ending(end_override(space))
    tell_retreat(step_back(space))
    record = waiting(space.journal)
    if record and not frozen(space.journal):
        carry_out(space, record, write_down(space, record))
        account.done("gate", f"what waited is carried out: {record['headline']}", tone="good")


@step()
def show_taken_back(space: Workspace) -> None:
    """Have MLflow show which versions have learnt from a batch that was taken back."""
    mark(space.registry)


@step()
def end_override(space: Workspace) -> Ending | None:
    """Roll back from a champion whose override has expired."""
    return promotion.end_override(space.registry, now=datetime.now(UTC))
