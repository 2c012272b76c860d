"""How what was measured is written down: once for a state of the data, and again where that state comes back after another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from evergreen import journal as tables
from evergreen.files import digest_text
from evergreen.gate.record import json_safe
from evergreen.journal import Journal

Row = dict[str, Any]


def keep(journal: Journal, kind: str, state: str, *, last: Row | None, find: Callable[[], tuple[str, dict[str, Any]]]) -> Row:
    """The newest row of a matter, as it is now: `last`, if that was found in this state, else a new one after it.

    A batch that is taken back and given back brings back an earlier state: what was found in it is then the newest again.

    Parameters
    ----------
    state
        Digest of everything that the finding depends on.
    last
        The newest row of `signals` on the same matter; None for none.
    find
        Measures, and returns the window and the facts.
    """
    if last is not None and last["facts"].get("state") == state:
        return last
    window, facts = find()
    name = digest_text(kind, state, str(last["seq"] if last else 0))
    journal.add(tables.signals, signal=name, kind=kind, window=window, facts=json_safe(facts | {"state": state}))
    return journal.rows(tables.signals, signal=name)[0]
