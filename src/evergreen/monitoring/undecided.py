"""Of which alerts it cannot be said that they are over: the newest that they rest on was not judged, for want of rows say."""

from __future__ import annotations

from datetime import datetime

from evergreen import journal as tables
from evergreen.journal import Journal
from evergreen.monitoring.alerts import cause_of
from evergreen.monitoring.concerns import newest
from evergreen.monitoring.kinds import ESTIMATE, FEATURES, PUBLISHED, REALIZED, SERVED, SERVED_LATELY, of_version
from evergreen.monitoring.pillars import Cell
from evergreen.moves import standing
from evergreen.triggers import SIGNALS


def undecided(journal: Journal, accepted: list[tuple[str, str, Cell]], now: datetime) -> set[str]:
    """Kinds and causes of alerts on the version that serves, and on accepted data, of which the newest judgement is still to come."""
    champion = standing(journal).champion
    found = {cause_of("health", source, pillar) for source, pillar, cell in accepted if cell.state == "unjudged"}
    if champion is None:
        return found
    found |= {kind for kind in SIGNALS if _is_open(journal, kind, champion)}
    if (row := journal.last(tables.signals, kind=ESTIMATE)) and row["facts"]["version"] == champion and not row["facts"]["is_judged"]:
        found.add("estimate")
    if (row := journal.last(tables.signals, kind=FEATURES)) and row["facts"]["low"] is None:
        found |= {"features"} if datetime.fromisoformat(row["window"]) >= now - SERVED_LATELY else set()
    for origin in (PUBLISHED, SERVED):
        _, whole = newest(journal, REALIZED[origin])
        facts = of_version(whole, champion)
        if whole is not None and (facts is None or not facts["is_judged"]):
            found.add(cause_of("bias", str(champion), origin))
    return found


def _is_open(journal: Journal, kind: str, champion: int) -> bool:
    row = journal.last(tables.signals, kind=kind)
    return row is not None and row["facts"]["champion"] == champion and not row["facts"].get("is_judged", True)  # old rows do not say
