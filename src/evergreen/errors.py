"""The errors that people meet. Each message says what was got, what was expected and what to do.

::

    EvergreenError              the command line prints it as one sentence and exits with `exit_code`
    ├── ContractError           the problem's contract is wrong
    ├── DataError               data that cannot be used
    │   ├── JoinError           a guard of a declared join is broken
    │   └── StoreError          a stored file is missing, torn or not what the journal says
    │       └── TamperedError   it is there, and is not what was registered
    ├── ModelError              an estimator or an artefact that cannot be used
    ├── RegistryError           MLflow's store is of another schema, locked, full, or holds something unexpected
    │   └── UnreachableError    MLflow's server does not answer
    ├── JournalError            the journal cannot be opened or written
    │   └── UnfitRowError       it can, but it refuses these rows
    ├── BusyError               another process holds the lock
    │   └── LostError           another process has taken over what this one was doing
    └── RefusedError            a person asked for something that the rules forbid
        ├── FrozenError         promotions are frozen
        └── RevokedError        a version has learnt from a batch that was taken back
"""

from __future__ import annotations

import re
from traceback import walk_tb


class EvergreenError(Exception):
    """Anything that a user can understand and mend."""

    exit_code = 1


class ContractError(EvergreenError):
    """The problem's contract is wrong."""

    exit_code = 2


class DataError(EvergreenError):
    """Data that cannot be used."""


class JoinError(DataError):
    """A guard of a declared join is broken."""

    source: str = ""
    """The source that cannot be joined; empty where it is not known."""
    is_lacking: bool = False
    """Whether too few rows find a partner, so that something may be missing."""

    def of(self, source: str, *, is_lacking: bool = False) -> JoinError:
        """The same error, which names the source."""
        self.source, self.is_lacking = source, is_lacking
        return self


class StoreError(DataError):
    """A stored file is missing, torn or not what the journal says."""


class TamperedError(StoreError):
    """A stored file is there, and is not what was registered."""


class ModelError(EvergreenError):
    """An estimator or an artefact that cannot be used."""


class RegistryError(EvergreenError):
    """MLflow's store is of another schema, locked, full, or holds something unexpected."""


class UnreachableError(RegistryError):
    """MLflow's server does not answer."""


class JournalError(EvergreenError):
    """The journal cannot be opened or written."""


class UnfitRowError(JournalError):
    """The journal refuses these rows, whenever they are tried."""


class BusyError(EvergreenError):
    """Another process holds the lock."""


class LostError(BusyError):
    """Another process has taken over what this one was doing."""


class RefusedError(EvergreenError):
    """A person asked for something that the rules forbid."""


class FrozenError(RefusedError):
    """Promotions are frozen."""


class RevokedError(RefusedError):
    """A version has learnt from a batch that was taken back."""


def what_helps(cause: str, *, program: str, setting: str) -> str:
    """What to do about a database's own complaint: `program` makes its tables, `setting` is the variable that says where it is."""
    known = {
        "lock timeout": "Another process is writing to it; end that process or wait, then run again.",
        "locked": "Another process is writing to it; end that process or wait, then run again.",
        "full": "Free some space, then run again.",
        "no such": f"Another version of {program} wrote it: use that one, or another {setting}.",
    }
    return next((text for word, text in known.items() if word in cause), "Check that it can be reached and written, then run again.")


def without_passwords(text: str) -> str:
    """The text with what stands for passwords in its addresses hidden."""
    return re.sub(r"(://[^/@\s]*?):[^/\s]*@", r"\1:***@", text)


def place_of(error: BaseException, module: str) -> str:
    """Where in a problem's own code an error arose: the file and the line, then ": "; empty where it did not.

    The code is all of the outermost package that `module`, such as "problem.contract", is in: the last line of it that was reached.
    """
    if isinstance(error, SyntaxError) and error.filename and not error.filename.startswith("<"):
        return f"{error.filename}, line {error.lineno}: "
    package = module.partition(".")[0]
    reached = [(frame, line) for frame, line in walk_tb(error.__traceback__) if _package(frame.f_globals) == package]
    return f"{reached[-1][0].f_code.co_filename}, line {reached[-1][1]}: " if reached else ""


def in_a_line(error: BaseException) -> str:
    """The kind of an error of somebody else's code and what it says, in one line without a stop at its end."""
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {' '.join(said.split()).rstrip('.')}"


def _package(names: dict[str, object]) -> str:
    return str(names.get("__name__", "")).partition(".")[0]
