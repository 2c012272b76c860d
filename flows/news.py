"""What a round of the loop says of what it did."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from evergreen.data.batches import Judged
from evergreen.data.checkups import Finding
from evergreen.data.landing import known
from evergreen.data.publishing import Publication
from evergreen.moves import standing
from evergreen.promotion import Ending
from evergreen.releases import Retreat
from evergreen.report.words import counted, listed
from evergreen.status import freshness, impasse, notices
from evergreen.workspace import Workspace
from flows import account

if TYPE_CHECKING:
    from flows.online_deployment import Deployed

TONES = {"PROMOTE": "good", "HOLD": "hold", "REJECT": "bad"}


def tell_deliveries(space: Workspace, judged: list[Judged]) -> None:
    """Say how many were published, and of every other one why it was not."""
    published = [one for one in judged if one.outcome == "published"]
    sources = ", ".join(dict.fromkeys(one.source for one in published))
    rows = sum(one.rows or 0 for one in published)
    told = f"{counted(len(published), 'delivery')} published, {counted(rows, 'row')} ({sources})"
    account.done("ingest", told if published else "no new delivery published")
    for one in judged:
        if one.outcome != "published":
            tone = "bad" if one.outcome == "quarantined" else "hold"
            account.done("", f"{one.outcome}: {one.source}/{one.name} {shorten(one.reason, 150, placeholder=' …')}", tone=tone)
            if one.page:
                account.done("", f"see {_shown(space, one.page)}")
        for warning in one.warnings:
            account.done("", f"warning: {one.source}/{one.name}: {warning}", tone="hold")


def tell_stale(space: Workspace) -> None:
    """Say which sources lie farther behind than the contract allows."""
    for one in freshness(space, datetime.now(UTC)):
        if one.is_stale and one.behind is not None and one.max_age is not None:
            behind = f"{counted(one.behind.days, 'day')} behind {one.clock}; the contract allows {one.max_age.days}"
            account.done("", f"stale: {one.source}: its newest row, {one.newest}, lies {behind}", tone="hold")


def tell_health(findings: list[Finding]) -> None:
    """Say what is wrong with the newest rows' partners; how old each source is, `tell_stale` says."""
    for one in findings:
        if one.pillar == "joins" and one.state in {"fail", "warn"}:
            account.done("", f"{one.column}: {one.sentence}", tone="bad" if one.state == "fail" else "hold")


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


def tell_signals(signals: list[dict[str, Any]]) -> None:
    """Say of drift and decay what was found; what was not found is in the journal only."""
    for row in signals:
        if row["facts"]["found"]:
            account.done(row["kind"], row["facts"]["sentence"], tone="hold")


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


def tell_notices(space: Workspace) -> None:
    """Say again in each round what is out of the ordinary: a freeze, a PROMOTE that waits, an override."""
    for tone, sentence in notices(space, datetime.now(UTC)):
        account.done("notice", sentence, tone=tone)


def tell_impasse(space: Workspace) -> None:
    """Where no round is gone, say what would keep it from training and predicting: nothing else on the screen would."""
    if stops := impasse(space):
        account.done("data", stops, tone="bad")


def tell_ending(ending: Ending | None) -> None:
    """Say what became of an override that expired."""
    if ending is None:
        return
    over = f"the override of version {ending.override.version} by {ending.override.person} expired after {ending.override.last_day} (UTC)"
    if ending.back_to is None:
        account.done("override", f"{over}, and the version still serves: {ending.hindrance}", tone="bad")
    else:
        account.done("override", f"{over}: version {ending.back_to} serves again, version {ending.override.version} is barred", tone="hold")


def tell_retreat(back: Retreat | None) -> None:
    """Say what became of a champion that a server has refused."""
    if back is None:
        return
    refused = f"the server has refused version {back.version}: {back.reason}"
    if back.back_to is None:
        account.done("online", f"{refused} The journal still has it as champion: {back.hindrance}", tone="bad")
    else:
        account.done("online", f"{refused} Version {back.back_to} serves again, version {back.version} is barred", tone="bad")


def tell_deployed(deployed: Deployed | None) -> None:
    """Say what became of the champion at the server."""
    if deployed is None:
        return
    if deployed.state == "serves":
        account.done("online", f"version {deployed.version} answers over HTTP, as in training")
    elif deployed.state == "away":
        account.done("online", f"no server answers; when one starts (evergreen serve) it serves version {deployed.version}")
    elif deployed.state == "late":
        account.done("online", f"version {deployed.version} does not serve yet: {deployed.reason}", tone="hold")
    else:
        tell_retreat(deployed.retreat)


def tell_predictions(space: Workspace, publication: Publication | None) -> None:
    """Say what was published."""
    if publication is None:
        account.done("predict", f"nothing: {_why_nothing(space)}")
    else:
        how = "published" if publication.is_new else "already published"
        since = f" from {publication.partition} on" if space.problem.time else ""
        rows = f"{publication.rows:,} {space.problem.things}{since}"
        account.done("predict", f"{rows}, {how} by version {publication.version}")


def _why_nothing(space: Workspace) -> str:
    """Why there is nothing to predict."""
    serves = standing(space.journal).champion
    if serves is None:
        return "there is no champion yet"
    if without := known(space.journal, outcome="published").lacks(space.problem):
        return f"version {serves} serves, and nothing counts of the {'source' if len(without) == 1 else 'sources'} {listed(without, 'and')}"
    return f"version {serves} serves, and all {space.problem.things} that were delivered have their outcome"


def tell_estimate(space: Workspace, publication: Publication | None, row: dict[str, Any] | None) -> None:
    """Say what is expected of what was published just now; that it cannot be estimated is in the journal only."""
    if publication is None or not publication.is_new or row is None or not row["facts"]["is_judged"]:
        return
    cost, unit, things = row["facts"]["cost"], space.problem.business.unit, space.problem.things
    between = f"{cost['low']:,.0f} to {cost['high']:,.0f}"
    account.done(
        "expected", f"{cost['estimate']:,.0f} {unit} per 1,000 {things}, {between} unless the world changes otherwise than rows do"
    )


def _shown(space: Workspace, path: Path) -> str:
    home = space.settings.root.parent
    return str(path.relative_to(home)) if path.is_relative_to(home) else str(path)
