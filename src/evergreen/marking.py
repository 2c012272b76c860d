"""What MLflow shows of batches that were taken back: a tag on every version that has learnt from one."""

from __future__ import annotations

from textwrap import shorten

from evergreen.faults import reach
from evergreen.journal import snapshots, versions
from evergreen.registry import Registry
from evergreen.revocations import in_words, lost_from, marked

TAG = "taken_back"
LONGEST = 1_000


def mark(registry: Registry) -> None:
    """Make MLflow's tags say what the journal says of every batch that was ever taken back. Doing it again changes nothing.

    MLflow is reached only where there is such a batch, and a version that has learnt from it.
    """
    journal, ever = registry.journal, marked(registry.journal)
    known = journal.rows(snapshots) if ever else []
    concerned = {row["snapshot"] for row in known if any(ever & {*batches} for batches in row["batches"].values())}
    for row in journal.rows(versions) if concerned else []:
        if row["snapshot"] in concerned:
            lost = lost_from(journal, row["snapshot"])
            registry.tag(registry.version(row["version"]), **{TAG: shorten(in_words(lost), LONGEST, placeholder=" …") if lost else None})
            reach("after MLflow's tag taken_back")
