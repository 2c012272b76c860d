"""A delivery becomes a batch or is quarantined; batches are parquet files that never change, named by their content.

Files are written first and the journal's row last: killed in between, the same delivery is simply judged again, with the same result.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from evergreen.data.checkups import NOTHING, UNLIKE, CheckUp, Checkup, Finding, keep_profile, nothing_checked, row_of
from evergreen.data.landing import Delivery, active, batch_path, has_verdict, known, stat_of
from evergreen.data.reading import read_delivery
from evergreen.data.refusals import Refusal
from evergreen.errors import DataError, StoreError
from evergreen.faults import reach
from evergreen.files import atomic_path, digest_file, write_bytes, write_json
from evergreen.journal import Journal, checkups, deliveries
from evergreen.policies import Source
from evergreen.quoting import quoted, revealed
from evergreen.revocations import given, taken_back
from evergreen.validation import Report, rules_digest, suite_path, validate

Outcome = Literal["published", "quarantined", "duplicate", "waiting", "unreadable"]


@dataclass(frozen=True)
class Intake:
    """Where deliveries are judged by which suites, and what writes the page about a refused one."""

    root: Path
    expectations: Path
    journal: Journal
    render: Callable[[Refusal], str]
    check_up: CheckUp = nothing_checked


@dataclass(frozen=True)
class Judged:
    """What became of one delivery; "waiting" and "unreadable" are not in the journal, so the next run tries again."""

    source: str
    name: str
    outcome: Outcome
    rows: int | None = None
    reason: str = ""
    warnings: tuple[str, ...] = ()
    page: Path | None = None


@dataclass(frozen=True)
class _Verdict:
    outcome: Outcome
    reason: str = ""
    report: Report | None = None
    batch: bytes = b""
    rows: int | None = None
    newest: str | None = None
    checkup: Checkup = NOTHING
    taken_back: str = ""
    """Digest of the batch that it would be."""


class _ChangedError(Exception):
    """The file changed while it was judged."""


def ingest_one(delivery: Delivery, source: Source, *, intake: Intake, now: datetime) -> Judged:
    """Judge one delivery, publish it as a batch or quarantine it, and write the verdict to the journal.

    A file that the system does not let us read comes back as "unreadable", one that changes meanwhile as "waiting"; the others go on.

    Raises
    ------
    ContractError
        The suite or the reader cannot be used.
    DataError
        The store cannot be written.
    """
    suite = suite_path(source, intake.expectations)
    rules, seen = rules_digest(source, suite), known(intake.journal, source=source.name)
    previous = seen.newest.get((source.name, delivery.name))
    if previous and has_verdict(delivery, previous, seen.judged_by(rules, previous), intake.root, seen.counted(source.name)):
        return _told(previous, intake.root)
    try:
        digest = delivery.digest
        reach("begin judging a delivery")
        verdict = _verdict(delivery, source, suite, digest, intake)
        refusal = Refusal(source.name, source.suite, delivery.name, digest, verdict.reason, now, verdict.report)
        refusal = replace(refusal, checkup=verdict.checkup, batch=verdict.taken_back)
        batch = _keep(verdict, delivery, refusal, intake=intake)
    except (_ChangedError, FileNotFoundError):
        return Judged(source.name, delivery.name, "waiting", reason="changed while it was read; it is judged once it holds still")
    except OSError as error:
        reason = f"cannot be opened ({error.strerror or error}); check its permissions, then run again"
        return Judged(source.name, delivery.name, "unreadable", reason=reason)
    row = {
        **{"source": source.name, "name": delivery.name, "delivery": digest, "stat": delivery.stat},
        "rules": seen.judged_by(rules, {"delivery": digest}),
        **{"outcome": verdict.outcome, "reason": verdict.reason, "batch": batch or verdict.taken_back or None},
        **{"newest": verdict.newest, "row_count": verdict.rows, "warnings": _warnings(verdict)},
        "after": previous["seq"] if previous else 0,
    }
    intake.journal.add_all([(deliveries, row), *([(checkups, row_of(verdict.checkup, row))] if verdict.checkup.findings else [])])
    return _told(row, intake.root)


def publish(content: bytes, source: str, *, root: Path) -> str:
    """Store a batch under the sha256 of its bytes, which is returned; one that is there already stays, unless it is torn."""
    digest = hashlib.sha256(content).hexdigest()
    path = batch_path(root, source, digest)
    if not path.exists() or digest_file(path) != digest:
        reach("before a batch is stored")
        write_bytes(path, content)
        reach("after a batch is stored")
    return digest


def parquet_bytes(frame: pd.DataFrame) -> bytes:
    """The frame as parquet, times in UTC, without its index; equal frames give equal bytes as long as the libraries stay the same."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # pyarrow takes times through `Series.values`, which pandas deprecates when they have a zone: so they go in as UTC without one.
    zones = {name: dtype for name, dtype in frame.dtypes.items() if isinstance(dtype, pd.DatetimeTZDtype)}
    table = pa.Table.from_pandas(frame.assign(**{str(name): frame[name].dt.tz_convert(None) for name in zones}), preserve_index=False)
    for name, dtype in zones.items():
        table = table.set_column(table.column_names.index(name), name, table[name].cast(pa.timestamp(dtype.unit, "UTC")))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def load(root: Path, source: str, digest: str) -> pd.DataFrame:
    """Read a batch, after its bytes have been found to be those that its name promises.

    Raises
    ------
    StoreError
        It is missing or torn.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = batch_path(root, source, digest)
    cure = "Restore it from a backup; or remove it and run again: it is made anew from its file in the landing folder."
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"The batch {path} cannot be read ({error.strerror}). {cure}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise StoreError(f"The batch {path} is torn: its content is {found[:12]}, its name says {digest[:12]}. {cure}")
    frame: pd.DataFrame = pq.read_table(pa.BufferReader(content)).to_pandas()
    return frame


def _verdict(delivery: Delivery, source: Source, suite: Path, digest: str, intake: Intake) -> _Verdict:
    """A file is a duplicate, or what a person has taken back, by its bytes or by the batch that it makes; else its suite decides."""
    journal = intake.journal
    if verdict := _duplicate(journal, delivery, digest):
        return verdict
    gone = taken_back(journal)
    known = journal.rows(deliveries, source=source.name, delivery=digest, outcome="published") if gone else []
    if (row := next((row for row in reversed(known) if row["batch"] in gone), None)) is not None:
        return _Verdict("quarantined", gone[row["batch"]].sentence, rows=row["row_count"], taken_back=row["batch"])
    verdict = _judge(delivery, source, suite, intake)
    batch = hashlib.sha256(verdict.batch).hexdigest() if verdict.outcome == "published" and gone else ""
    if batch in gone:
        return _Verdict("quarantined", gone[batch].sentence, verdict.report, rows=verdict.rows, checkup=verdict.checkup, taken_back=batch)
    return verdict


def _duplicate(journal: Journal, delivery: Delivery, digest: str) -> _Verdict | None:
    """The verdict on a file whose content counts already, under another name."""
    twin = next((row for row in active(journal, delivery.source) if row["delivery"] == digest and row["name"] != delivery.name), None)
    return _Verdict("duplicate", f"has the same content as {twin['name']}", rows=twin["row_count"]) if twin else None


def _judge(delivery: Delivery, source: Source, suite: Path, intake: Intake) -> _Verdict:
    try:
        frame = read_delivery(delivery.path, source)
    except DataError as error:
        return _Verdict("quarantined", str(error), checkup=Checkup((Finding("schema", "readable", "fail", f"it {error}"),)))
    report = validate(frame, suite, name=f"{source.name}/{delivery.name}", rows=source.rows, key=source.key)
    checkup = intake.check_up(source, delivery.name, frame)
    if reason := _reason(report) if not report.passed else _unlike(intake.journal, source, delivery, checkup):
        return _Verdict("quarantined", reason, report, rows=len(frame), checkup=checkup)
    try:
        batch = parquet_bytes(frame)
    except (TypeError, ValueError, NotImplementedError) as error:  # pyarrow's own errors are among these
        return _Verdict("quarantined", f"cannot be stored as parquet: {quoted(error)}", report, rows=len(frame), checkup=checkup)
    newest = frame[source.time].max().isoformat() if source.time else None
    return _Verdict("published", "", report, batch, len(frame), newest, checkup)


def _reason(report: Report) -> str:
    findings = [check.finding for check in report.failed]
    return f"breaks {len(findings)} expectation{'s' if len(findings) > 1 else ''}: {'; '.join(findings[:3])}{_more(findings)}"


def _unlike(journal: Journal, source: Source, delivery: Delivery, checkup: Checkup) -> str:
    """Why a delivery that meets its expectations is refused all the same: it is not like those before it. Empty where it is not refused."""
    failed = [one.sentence for one in checkup.of("fail") if one.pillar == "check" or one.pillar in source.health.refuse]
    if not failed or delivery.digest in given(journal):
        return ""
    return f"{UNLIKE}: {'; '.join(failed[:3])}{_more(failed)}"


def _more(findings: list[str]) -> str:
    return f"; and {len(findings) - 3} more" if len(findings) > 3 else ""  # noqa: PLR2004 (three say enough; the page has them all)


def _warnings(verdict: _Verdict) -> list[str]:
    """What is told of a published delivery, and refuses nothing."""
    told = [check.finding for check in verdict.report.warnings] if verdict.report else []
    unusual = verdict.checkup.of("warn") + verdict.checkup.of("fail")
    return [*told, *(one.sentence for one in unusual if verdict.outcome == "published")]


def _keep(verdict: _Verdict, delivery: Delivery, refusal: Refusal, *, intake: Intake) -> str | None:
    """Write the batch and return its digest, or write what a quarantined delivery leaves behind: what `refusal` tells."""
    if stat_of(delivery.path) != delivery.stat:
        raise _ChangedError
    try:
        if verdict.outcome == "published":
            batch = publish(verdict.batch, delivery.source, root=intake.root)
            keep_profile(intake.root, delivery.source, batch, verdict.checkup)
            return batch
        if verdict.outcome == "quarantined":
            _quarantine(refusal, delivery.path, _cell(intake.root, refusal.source, refusal.digest), intake.render)
    except OSError as error:
        if stat_of(delivery.path) != delivery.stat:
            raise _ChangedError from error
        raise DataError(f"{intake.root} cannot be written: {error}. Free some space or check its permissions, then run again.") from error
    return None


def _quarantine(refusal: Refusal, path: Path, cell: Path, render: Callable[[Refusal], str]) -> None:
    with atomic_path(cell / "delivered" / refusal.name) as copy:
        shutil.copyfile(path, copy)
        if digest_file(copy) != refusal.digest:
            raise _ChangedError
    reach("after a refused delivery is kept")
    told = {"source": refusal.source, "name": refusal.name, "delivery": refusal.digest, "reason": revealed(refusal.reason)}
    write_json(cell / "reason.json", {**told, "at": refusal.at.isoformat(), "release": list(refusal.release)})
    report = refusal.report
    write_json(cell / "result.json", {**report.to_dict(), "great_expectations": report.result} if report else {})
    reach("before the page of a refused delivery")
    write_bytes(cell / "index.html", render(refusal).encode())
    reach("after the page of a refused delivery")


def _told(row: dict[str, Any], root: Path) -> Judged:
    page = _cell(root, row["source"], row["delivery"]) / "index.html" if row["outcome"] == "quarantined" else None
    warnings = tuple(revealed(one) for one in row["warnings"] or ())
    return Judged(row["source"], row["name"], row["outcome"], row["row_count"], revealed(row["reason"]), warnings, page)


def _cell(root: Path, source: str, digest: str) -> Path:
    return root / "quarantine" / source / digest[:16]
