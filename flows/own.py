"""The problem's own files that only commands call: `feed.py`, which plays the outside world, and `fetch.py`, which brings deliveries."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from evergreen.errors import EvergreenError, RefusedError, in_a_line, place_of
from evergreen.quoting import quoted
from evergreen.workspace import Workspace

FETCH, FEED = "fetch", "feed"
WRONG = {FETCH: "Deliveries could not be fetched.", FEED: "The feed, which plays the outside world, failed."}


def beside_contract(space: Workspace, name: str) -> ModuleType | None:
    """A module of the problem's own, FEED or FETCH, in the folder of the contract; None where there is none.

    Raises
    ------
    RefusedError
        It cannot be imported.
    """
    package = _package(space)
    if not package:
        return None
    with told_in_a_sentence(space, name):
        try:
            return importlib.import_module(f"{package}.{name}")
        except ModuleNotFoundError as error:
            if error.name == f"{package}.{name}":
                return None
            raise


@contextmanager
def told_in_a_sentence(space: Workspace, name: str) -> Iterator[None]:
    """Say of the problem's own FEED or FETCH in a sentence where it failed and of what; whoever wrote it needs no more.

    Raises
    ------
    RefusedError
        In the place of whatever it raised.
    """
    try:
        yield
    except EvergreenError:
        raise
    except Exception as error:  # the problem's own code may raise anything
        where = place_of(error, space.settings.problem)
        kind, _, said = in_a_line(error).partition(": ")  # what it says may hold a value of the data
        raise RefusedError(f"{WRONG[name]} {where}{kind}: {quoted(said)}. {_advice(space, name, error)}") from None


def _package(space: Workspace) -> str:
    """The package that the contract is in; empty where it is in none."""
    return space.settings.problem.partition(":")[0].rpartition(".")[0]


def _advice(space: Workspace, name: str, error: Exception) -> str:
    if name == FETCH:
        return "Mend it, then run again."
    file = importlib.import_module(_package(space)).__path__[0] + f"/{FEED}.py"
    lacking = f"Install {error.name}" if isinstance(error, ModuleNotFoundError) else "Mend it"
    return f"{lacking}; or, if it is the example's, which your problem does not need, remove {file}. Then run again."
