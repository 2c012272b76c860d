"""What every command works with: the settings, the problem, the journal and the registry."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cached_property

from evergreen.contract import Problem
from evergreen.errors import ContractError, EvergreenError, in_a_line, place_of
from evergreen.journal import Journal
from evergreen.registry import Registry
from evergreen.settings import Settings, load_settings


@dataclass(frozen=True)
class Workspace:
    """A problem and where its things are."""

    settings: Settings
    problem: Problem
    journal: Journal

    @cached_property
    def registry(self) -> Registry:
        """The registered models; MLflow is reached at the first need."""
        return Registry(self.settings, self.problem, self.journal)


def open_workspace() -> Workspace:
    """Read settings and contract, and open the journal.

    Raises
    ------
    EvergreenError
        The environment, the contract or the journal cannot be used.
    """
    settings = load_settings()
    problem = load_problem(settings.problem)
    try:
        settings.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvergreenError(f"The folder {settings.root} cannot be written ({error.strerror}). Set EVERGREEN_HOME to another.") from None
    journal = Journal(settings.journal)
    journal.claim(problem.name)
    return Workspace(settings, problem, journal)


def load_problem(place: str) -> Problem:
    """Import the contract from `module:name`. The problem is named, not imported by name here: no machinery knows which one it is.

    Raises
    ------
    ContractError
        There is none, it is wrong, or its module cannot be imported.
    """
    module, _, name = place.partition(":")
    try:
        problem = getattr(importlib.import_module(module), name or "PROBLEM")
    except ContractError:
        raise
    except Exception as error:  # the module is the user's: whatever it raises is theirs to read, in one sentence
        where = place_of(error, module)
        advice = "Mend it, then run again." if where else "It must define a Problem."
        raise ContractError(f"{place} cannot be imported: {where}{in_a_line(error)}. {advice}") from error
    if not isinstance(problem, Problem):
        raise ContractError(f"{place} is a {type(problem).__name__}; expected an evergreen.contract.Problem.")
    return problem
