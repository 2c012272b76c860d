"""A delivery that is refused: why, and what can be done about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from evergreen.data.checkups import NOTHING, Checkup
from evergreen.revocations import SHORT
from evergreen.validation import Report


@dataclass(frozen=True)
class Refusal:
    """Everything that is told about a quarantined delivery."""

    source: str
    suite: str
    name: str
    digest: str
    reason: str
    """Completes "the delivery ...": is empty: ...; cannot be read: ...; breaks 2 expectations: ..."""
    at: datetime
    report: Report | None
    """None when the file could not even be held against its suite."""
    checkup: Checkup = NOTHING
    """How it differs from the deliveries that were accepted before it."""
    batch: str = ""
    """Digest of the batch that it would be, where a person has taken that one back."""

    @property
    def release(self) -> tuple[str, ...]:
        """The ways out of quarantine."""
        corrected = f"put a corrected file at `landing/{self.source}/{self.name}`, under the same name, and run again."
        if self.batch:
            return (
                f"If it is wrong, remove the file, or {corrected}",
                f"If it is right after all, give its batch back with `evergreen batch restore {self.batch[:SHORT]} --reason ...` and run "
                "again: it is then judged anew.",
            )
        ways = (
            f"If the delivery is wrong, {corrected}",
            f"If the delivery is right and the rules are wrong, change `expectations/{self.suite}.json` (or the source's reader, key "
            "or numbers of rows in the contract) and run again: it is then judged anew.",
        )
        if not (self.checkup.of("fail") and self.report and self.report.passed):
            return ways
        accept = f"evergreen batch accept {self.source}/{self.name} --reason ..."
        return (ways[0], f"If it is right, and the world has changed, accept it: `{accept}`; its expectations judge it still.", ways[1])
