"""A person accepts a delivery that was refused because it is not like those before it."""

from __future__ import annotations

from typing import Any

from evergreen import journal as tables
from evergreen.data.checkups import UNLIKE
from evergreen.data.landing import quarantined
from evergreen.errors import RefusedError
from evergreen.journal import Journal
from evergreen.revocations import SHORTEST


def accept(journal: Journal, delivery: str, *, reason: str, person: str) -> bool:
    """Have the next round judge a refused delivery by its expectations alone; False, and nothing recorded, where it was accepted already.

    Parameters
    ----------
    delivery
        `source/name`, or the first digits of its sha256.

    Raises
    ------
    RefusedError
        No delivery in quarantine is called so, or it was refused for something else.
    """
    row = _refused(journal, delivery)
    if not row["reason"].startswith(UNLIKE):
        raise RefusedError(
            f"The delivery {row['source']}/{row['name']} {row['reason']:.200}. To accept it would not help: only what meets its "
            "expectations, and is merely unlike the deliveries before it, can be accepted. Its page says what to do."
        )
    last = journal.last(tables.revocations, batch=row["delivery"])
    if last and not last["revoked"]:
        return False
    after = last["seq"] if last else 0
    return journal.add(tables.revocations, batch=row["delivery"], reason=reason, person=person, revoked=False, after=after)


def _refused(journal: Journal, delivery: str) -> dict[str, Any]:
    waiting = quarantined(journal)
    found = [
        row
        for row in waiting
        if f"{row['source']}/{row['name']}" == delivery or (len(delivery) >= SHORTEST and row["delivery"].startswith(delivery))
    ]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{row['source']}/{row['name']}" for row in waiting) or "none"
    raise RefusedError(f"{'Several deliveries' if found else 'No delivery'} in quarantine: got {delivery!r}; in quarantine: {names}.")
