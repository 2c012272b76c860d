"""`python -m benchmarks.serving.challenger 10` registers a version that says what the champion says and takes ten times as long.

It is put into the home of the environment; its number is printed.
"""

from __future__ import annotations

import copy
import sys

import pandas as pd
import skops.io
from sklearn.ensemble import VotingClassifier
from sklearn.preprocessing import LabelEncoder

from evergreen.candidate import Trained, is_answer, predicted
from evergreen.journal import versions
from evergreen.moves import standing
from evergreen.prediction import KEY
from evergreen.registry import Version
from evergreen.workspace import Workspace, open_workspace


def main() -> None:
    """Register it."""
    space = open_workspace()
    champion = standing(space.journal).champion
    if champion is None:
        sys.exit("There is no champion.")
    print(space.registry.register(slowed(space, space.registry.version(champion), times=int(sys.argv[1]))).number)


def slowed(space: Workspace, version: Version, *, times: int) -> Trained:
    """The model of a version asked so many times for each answer: the mean of what it says each time."""
    (file,) = space.registry.folder(version).rglob("*.skops")
    fixed = copy.copy(skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file)))  # our own, written a minute ago
    inner = fixed.estimator_
    voting = VotingClassifier([(f"time {at}", inner) for at in range(times)], voting="soft")
    voting.estimators_, voting.le_, voting.classes_ = [inner] * times, LabelEncoder().fit(inner.classes_), inner.classes_
    fixed.estimator_ = voting
    golden = pd.read_parquet(space.registry.evidence_folder(version) / "golden.parquet").set_index(KEY)
    rows = golden[[name for name in golden.columns if not is_answer(name)]]
    return Trained(
        estimator=fixed,
        features=tuple(rows.columns),
        example=rows.head(5),
        golden=rows.join(predicted(fixed, rows)),
        training_rows=space.registry.training_rows(version),
        parameters={},
        metrics={},
        training_key=f"{version.training_key[:40]} asked {times} times",
        snapshot=space.journal.rows(versions, version=version.number)[0]["snapshot"],
        provenance={name: version.facts["provenance"][name] for name in ("snapshot", "contract", "code", "lock")},
        facts={"columns": version.facts["columns"]},
    )


if __name__ == "__main__":
    main()
