"""What a round says of what it did."""

import pytest

from evergreen import journal as tables
from evergreen.revocations import revoke
from evergreen.workspace import Workspace
from flows.news import tell_predictions

WORDS = {"reason": "wrong currency", "person": "Ada"}


def take_back(space: Workspace, source: str) -> None:
    """Everything that was published of a source."""
    for row in space.journal.rows(tables.deliveries, source=source):
        revoke(space.journal, row["batch"], root=space.settings.root, words=WORDS)


def test_why_there_is_nothing_to_predict_is_told_by_what_is_so(space: Workspace, capsys: pytest.CaptureFixture[str]):
    def told() -> str:
        tell_predictions(space, None)
        return capsys.readouterr().out.strip().removeprefix("predict").strip()

    assert told() == "nothing: there is no champion yet"
    row = {"version": 4, "champion": None, "anchor": 4, "kind": "promotion", "reason": "cheaper", "person": "gate"}
    space.journal.add(tables.promotions, promotion="first", state="intent", **row)
    space.journal.add(tables.promotions, promotion="first", state="done", **row)
    assert told() == "nothing: version 4 serves, and all orders that were delivered have their outcome"
    take_back(space, "stock")
    assert told() == "nothing: version 4 serves, and nothing counts of the source stock"
    take_back(space, "customers")
    assert told() == "nothing: version 4 serves, and nothing counts of the sources stock and customers"
