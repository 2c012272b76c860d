"""Data against expectations, and nothing else: the only module that knows Great Expectations."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from evergreen.contract import Problem
from evergreen.errors import ContractError
from evergreen.files import digest_text
from evergreen.functions import digest_code
from evergreen.policies import Source
from evergreen.quoting import in_words, quoted, revealed
from evergreen.sentences import sentence, words

EXAMPLES = 5
ROW_COUNT = "row count"


@dataclass(frozen=True)
class Check:
    """What came of one expectation."""

    expectation: str
    """Its type in Great Expectations, or "row count" and "key": the two that are built in."""
    column: str
    """Empty where it is about several columns or the whole table."""
    sentence: str
    severity: str
    """critical: the data are refused; warning and info: reported."""
    passed: bool
    unexpected: int = 0
    share: float = 0.0
    """Share of the values present that are unexpected."""
    examples: tuple[str, ...] = ()
    observed: str = ""
    exception: str = ""
    """Why it could not be evaluated; it then counts as failed. What an engine says is quoted."""
    notes: str = ""
    """What the suite's author had to say about it."""

    @property
    def finding(self) -> str:
        """What was expected and what was found instead, in one sentence; values of the data are quoted."""
        if self.exception:
            return f"{self.sentence}: cannot be checked, {self.exception}"
        if self.unexpected:
            examples = f", for instance {quoted(self.examples[0])}" if self.examples else ""
            return f"{self.sentence}: not so for {self.unexpected:,} ({self.share:.2%}){examples}"
        return f"{self.sentence}: it is {self.found}" if self.observed else f"{self.sentence}: not so"

    @property
    def found(self) -> str:
        """What was observed, quoted unless it is the number of rows: a smallest value, say, is that of a row."""
        return self.observed if self.expectation == ROW_COUNT else quoted(self.observed)


@dataclass(frozen=True)
class Report:
    """What came of all expectations, in the order of the suite."""

    name: str
    rows: int
    checks: tuple[Check, ...]
    result: dict[str, Any] = field(default_factory=dict, repr=False)
    """Great Expectations' own result, as JSON has it; empty when the row count already refused the data."""

    @property
    def passed(self) -> bool:
        """No critical expectation failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Check, ...]:
        """The critical ones that failed."""
        return tuple(check for check in self.checks if not check.passed and check.severity == "critical")

    @property
    def warnings(self) -> tuple[Check, ...]:
        """The others that failed: they are reported and refuse nothing."""
        return tuple(check for check in self.checks if not check.passed and check.severity != "critical")

    def to_dict(self) -> dict[str, Any]:
        """Everything but Great Expectations' own result, as JSON has it."""
        checks = [asdict(check) | {"examples": list(check.examples), "exception": revealed(check.exception)} for check in self.checks]
        return {"name": self.name, "rows": self.rows, "passed": self.passed, "checks": checks}


def validate(
    frame: pd.DataFrame, suite_path: Path, *, name: str, rows: tuple[int, int] = (1, 100_000_000), key: tuple[str, ...] = ()
) -> Report:
    """Hold `frame` against the suite, its number of rows against `rows`, and see that `key` names each row once.

    The row count goes first: an empty frame passes most expectations, so nothing else is asked of it.

    Raises
    ------
    ContractError
        The suite cannot be used.
    """
    suite = load_suite(suite_path)
    volume = _row_count(len(frame), rows)
    if not volume.passed:
        return Report(name, len(frame), (volume,))
    built_in = (volume, *([_key(frame, key)] if key else []))
    try:
        result = _run(frame, suite)
        outcomes = {outcome["expectation_config"]["meta"]["position"]: outcome for outcome in result["results"]}
        unanswered = "it was not evaluated"
    except Exception as error:  # data that break the engine are refused by every expectation, not waved through
        result, outcomes, unanswered = {}, {}, f"{type(error).__name__}: {in_words(error)}"
    checks = [_check(frame, item.configuration, outcomes.get(i), unanswered) for i, item in enumerate(suite.expectations)]
    return Report(name, len(frame), (*built_in, *checks), result)


def training_columns(problem: Problem) -> list[str]:
    """What a model is made of: key, time, target and features, each once."""
    return list(dict.fromkeys(name for name in (problem.key, problem.time, problem.target.name, *problem.features) if name))


def validate_training(labelled: pd.DataFrame, problem: Problem, expectations: Path) -> Report:
    """Hold the rows with their outcome against `training_data.json`; raises as `validate` does."""
    return validate(labelled[training_columns(problem)], expectations / "training_data.json", name="training data", key=(problem.key,))


def rules_digest(source: Source, suite_path: Path) -> str:
    """Name of everything that judges the deliveries of `source`: suite, reader (its arguments, its package), key, time, volume.

    Raises
    ------
    ContractError
        There is no such suite.
    """
    return digest_text(_suite_text(suite_path), digest_code(source.read), repr((source.key, source.time, source.rows, source.health)))


def rules_of(problem: Problem, expectations: Path) -> dict[str, str]:
    """Digest of each source's rules, by its name."""
    return {source.name: rules_digest(source, suite_path(source, expectations)) for source in problem.sources}


def suite_path(source: Source, expectations: Path) -> Path:
    """Where the suite of a source is, in the folder of suites."""
    return expectations / f"{source.suite}.json"


def load_suite(path: Path) -> Any:
    """Read a suite in Great Expectations' own JSON, strictly: every expectation must be one that it knows.

    Raises
    ------
    ContractError
        The file is missing or broken, holds no expectation or one that Great Expectations cannot evaluate.
    """
    text = _suite_text(path)
    try:
        content = json.loads(text)
        name, expectations = str(content["name"]), list(content["expectations"])
    except (ValueError, KeyError, TypeError) as error:
        raise ContractError(f'{path} is no suite ({error!r}); expected JSON like {{"name": ..., "expectations": [...]}}.') from None
    if not expectations or "$PARAMETER" in text:
        raise ContractError(f"{path} has {'parameters' if expectations else 'no expectations'}; expected a list of plain expectations.")
    gx = import_engine()
    suite = gx.ExpectationSuite(name=name)
    # The suite's own constructor only logs an expectation it cannot build, and then passes without it.
    suite.expectations.extend(_expectation(path, position, item) for position, item in enumerate(expectations))
    return suite


def _expectation(path: Path, position: int, item: Any) -> Any:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    try:
        # Results come back in another order and are told apart by this.
        return ExpectationConfiguration(**(item | {"meta": {"position": position}})).to_domain_obj()
    except Exception as error:
        kind = item.get("type", "no type") if isinstance(item, dict) else repr(item)
        cause = " ".join(str(error).split())
        raise ContractError(f"{path}: expectation {position + 1} ({kind}) cannot be used: {cause}. Mend it, then run again.") from None


def _run(frame: pd.DataFrame, suite: Any) -> dict[str, Any]:
    """Great Expectations' result as JSON has it; not-a-number becomes null."""
    batch = _frames().get_batch({"dataframe": frame})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what pandas thinks of a suite's pattern is of no use to whoever runs this
        result = batch.validate(suite, result_format={"result_format": "SUMMARY", "partial_unexpected_count": 4 * EXAMPLES})
    plain: dict[str, Any] = json.loads(json.dumps(result.to_json_dict(), default=str), parse_constant=lambda _: None)
    plain.pop("meta", None)  # the time of day, mostly: the same data must give the same result
    return plain


@cache
def _frames() -> Any:
    """What makes a batch of a frame, in a context that keeps nothing."""
    context = import_engine().get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    return context.data_sources.add_pandas("frames").add_dataframe_asset("frame").add_batch_definition_whole_dataframe("whole")


def import_engine() -> Any:
    """Great Expectations: imported late, for it takes seconds, quietly, for it uses deprecated modules of Python, without telemetry."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations
    # This one sets its own level and tells of each temporary folder.
    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
    return great_expectations


def _check(frame: pd.DataFrame, config: Any, outcome: dict[str, Any] | None, unanswered: str) -> Check:
    found = outcome["result"] if outcome else {}
    absent = [column for column in _columns(config.kwargs) if column not in frame.columns]
    exception = f"there is no column {words(absent)}" if absent else _exception(outcome["exception_info"]) if outcome else unanswered
    return Check(
        expectation=config.type,
        column=str(config.kwargs.get("column", "")),
        sentence=config.description or sentence(config.type, config.kwargs),
        severity=config.severity.value,
        passed=outcome is not None and bool(outcome["success"]) and not exception,
        unexpected=found.get("unexpected_count") or 0,
        share=(found.get("unexpected_percent") or 0.0) / 100,
        examples=tuple(dict.fromkeys(words(v) for v in found.get("partial_unexpected_list") or [] if v is not None))[:EXAMPLES],
        observed=words(found["observed_value"]) if found.get("observed_value") is not None else "",
        exception=exception,
        notes=" ".join([config.notes] if isinstance(config.notes, str) else config.notes or []),
    )


def _exception(info: dict[str, Any]) -> str:
    """The first exception's message; for a failed metric it is nested under the metric's name."""
    for item in (info, *info.values()):
        if isinstance(item, dict) and item.get("raised_exception"):
            return quoted(" ".join(str(item.get("exception_message") or "it raised an exception").split()))
    return ""


def _row_count(rows: int, allowed: tuple[int, int]) -> Check:
    low, high = max(allowed[0], 1), allowed[1]
    wanted = f"it has between {low:,} and {high:,} rows"
    return Check(ROW_COUNT, "", wanted, "critical", low <= rows <= high, observed=f"{rows:,}")


def _key(frame: pd.DataFrame, key: tuple[str, ...]) -> Check:
    wanted = f"every row has its own {' and '.join(f'`{column}`' for column in key)}"
    if absent := [column for column in key if column not in frame.columns]:
        return Check("key", "", wanted, "critical", passed=False, exception=f"there is no column {words(absent)}")
    values = frame[list(key)]
    try:
        bad = values.isna().any(axis=1) | values.duplicated(keep=False)
    except TypeError as error:  # lists and the like, which cannot be told apart
        return Check("key", "", wanted, "critical", passed=False, exception=in_words(error))
    examples = tuple(words(row) for row in values[bad].drop_duplicates().head(EXAMPLES).to_dict("records"))
    return Check("key", "", wanted, "critical", not bad.any(), int(bad.sum()), float(bad.mean()), examples)


def _suite_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ContractError(f"There is no suite {path}; every source needs one. Write it in Great Expectations' JSON.") from None
    except (OSError, ValueError) as error:
        raise ContractError(f"The suite {path} cannot be read: {error}. Check its permissions and its encoding (UTF-8).") from None


def _columns(kwargs: dict[str, Any]) -> Iterator[str]:
    yield from (str(kwargs[name]) for name in ("column", "column_A", "column_B") if name in kwargs)
    yield from map(str, kwargs.get("column_list") or [])
