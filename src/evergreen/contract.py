"""What a problem is: one frozen value that the whole pipeline obeys, checked when it is written down."""

from __future__ import annotations

import functools
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from evergreen import policies as p
from evergreen.errors import ContractError, EvergreenError
from evergreen.files import digest_file, digest_text
from evergreen.functions import name_of, written
from evergreen.limits import OnlinePolicy
from evergreen.parts import ColumnNames, Columns, Name, Part, Span, Text
from evergreen.quoting import quoted
from evergreen.watches import PerformancePolicy


class Problem(Part):
    """The contract between the business, the data and the pipeline.

    `entity` names the source with one row for each thing to predict; its key is one column and its `time` is the event.
    A prediction is made `prediction_lead` before that time, from nothing that was observed later.
    """

    name: Name
    things: Text
    """What a row is, in the plural, as people say it: "flights"."""
    business: p.Business
    task: p.Task
    target: p.Target
    sources: tuple[p.Source, ...]
    entity: Name
    joins: tuple[p.AsOfJoin | p.LookupJoin, ...] = ()
    prediction_lead: Span
    features: Columns
    """Columns the model is given, after the joins."""
    forbidden: ColumnNames = ()
    """Columns that tell the answer or are known too late; never a feature."""
    slices: ColumnNames = ()
    """Columns by which cost is also reported: a model may not be good on average only."""
    build_estimator: Callable[[], Any]
    search_space: Callable[[], dict[str, Any]] | None = None
    split: p.ForwardSplit | p.HashedSplit
    gate: p.GatePolicy = p.GatePolicy()
    clock: Literal["wall", "data"] = "wall"
    """What a source's `max_age` is measured by: the time of day, or for data that are replayed the newest row of any source."""
    retraining: p.RetrainingPolicy = p.RetrainingPolicy()
    performance: PerformancePolicy = PerformancePolicy()
    serving: p.ServingPolicy = p.ServingPolicy()
    online: OnlinePolicy | None = None
    """How the champion answers over HTTP; None where batches are all that is wanted."""
    cost: p.CostPolicy = p.CostPolicy()
    alerts: p.AlertPolicy = p.AlertPolicy()
    behaviour: tuple[p.Perturbation, ...] = ()
    """What the model must and must not do when rows are changed in ways whose effect people know."""
    trusted_types: tuple[str, ...] = ()
    """Types inside the estimator that a person has reviewed and that the template's own list does not name."""

    @model_validator(mode="after")
    def _is_whole(self) -> Problem:
        faults = list(_faults(self))
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def source(self, name: str) -> p.Source:
        """The source of that name.

        Raises
        ------
        ContractError
            There is none.
        """
        for source in self.sources:
            if source.name == name:
                return source
        raise ContractError(f"Unknown source {name!r}; the contract has {', '.join(s.name for s in self.sources)}.")

    @property
    def key(self) -> str:
        """The column that names one thing to predict."""
        return self.source(self.entity).key[0]

    @property
    def time(self) -> str | None:
        """The column with the time of the event; None for data without time."""
        return self.source(self.entity).time

    @property
    def embargo(self) -> timedelta:
        """Time kept empty between train and holdout, so that no label or feature reaches across."""
        return self.target.label_delay + (self.split.feature_lookback if isinstance(self.split, p.ForwardSplit) else timedelta(0))

    @property
    def package(self) -> Path:
        """The folder of the top-level package that holds the estimator's code; it travels inside every model."""
        module = str(getattr(self.build_estimator, "__module__", ""))
        file = getattr(sys.modules.get(module.partition(".")[0]), "__file__", None)
        if file is None or Path(file).name != "__init__.py" or "site-packages" in Path(file).parts:
            raise ContractError(
                f"build_estimator: got {name_of(self.build_estimator)}; expected a function in a package of yours (a folder with an "
                "__init__.py), because that folder travels inside every model."
            )
        return Path(file).parent

    @property
    def used_columns(self) -> list[str]:
        """Columns that the data must have after the joins."""
        cluster = () if self.gate.cluster in {"day", "row"} else (self.gate.cluster,)
        group = (self.split.group,) if isinstance(self.split, p.HashedSplit) else ()
        return list(dict.fromkeys([*self.features, *self.slices, *self.serving.carry, *cluster, *group]))

    def digest(self) -> str:
        """Name of this contract's content: its values, and the bytes of the files its functions stand in."""
        files = sorted({Path(inspect.getfile(function)) for function in _functions(self)})
        told = self.model_dump()
        for source in told["sources"]:
            if source["suite"] == source["name"]:  # said or not, it is the same contract
                del source["suite"]
        values = json.dumps(told, sort_keys=True, default=name_of)
        return digest_text(values, *(f"{file.name} {digest_file(file)}" for file in files))


def called(field: str, function: Callable[..., Any], *arguments: Any, error: type[EvergreenError] = ContractError) -> Any:
    """Call a function that the user wrote; whatever it raises is theirs to read, in one sentence.

    Raises
    ------
    EvergreenError
        Of the type `error`: names the field, the function and what it raised.
    """
    try:
        return function(*arguments)
    except EvergreenError:
        raise
    except Exception as cause:
        raise error(f"{field}: {name_of(function)} failed: {type(cause).__name__}: {quoted(cause)}") from cause


def _faults(problem: Problem) -> Iterator[str]:
    """What no single field can see: names that point nowhere and columns that must not meet."""
    names = [source.name for source in problem.sources]
    if not names:
        yield "sources: got none; expected a Source for each kind of delivery, those of `entity` and `target` among them."
        return
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"sources: {name!r} is declared twice; expected each name once."
    for field, name in [
        ("entity", problem.entity),
        ("target.source", problem.target.source),
        *((f"joins.{i}.source", j.source) for i, j in enumerate(problem.joins)),
    ]:
        if name not in names:
            yield f"{field}: got {name!r}; expected one of the sources {', '.join(names)}."
    if problem.entity not in names:
        return
    entity = problem.source(problem.entity)
    for source in problem.sources:
        if source.name in {problem.entity, problem.target.source} and len(source.key) != 1:
            yield f"sources.{source.name}.key: got {source.key}; expected one column that names a row (make one in your reader)."
    if isinstance(problem.split, p.ForwardSplit) and entity.time is None:
        yield f"split: got ForwardSplit, but the entity source {entity.name!r} has no time; give it one, or use HashedSplit."
    if problem.gate.cluster == "day" and entity.time is None:
        yield 'gate.cluster: got "day", but the entity source has no time; name a column, or "row" where rows are independent.'
    for index, join in enumerate(problem.joins):
        yield from _join_faults(problem, index, join, names)
    known_late = {problem.target.name, *problem.forbidden}
    for feature in problem.features:
        if feature in known_late:
            what = "the target itself" if feature == problem.target.name else "forbidden"
            yield f"features: {feature!r} is {what}; a model that is given it knows the answer. Take it out."
    yield from _name_faults(problem)
    yield from _task_faults(problem)


def _name_faults(problem: Problem) -> Iterator[str]:
    """Columns that have the name of one that predictions have."""
    entity = problem.source(problem.entity)
    fields = {f"sources.{entity.name}.key": entity.key, "target.name": (problem.target.name,)}
    fields |= {"slices": problem.slices, "serving.carry": problem.serving.carry}
    for field, names in {"features": problem.features, **fields}.items():
        for name in names:
            is_answer = name in {"decision", "probability"} or name.startswith("probability_")  # as `candidate.is_answer`
            if is_answer or (field in fields and name in {"model_version", "snapshot"}):
                yield f"{field}: {name!r} has the name of a column of the predictions. Rename it in your reader."


def _task_faults(problem: Problem) -> Iterator[str]:
    """What does not go with the kind of task."""
    if problem.task != "binary" and isinstance(problem.business.row_cost, p.BinaryCosts):
        yield f"business.row_cost: got BinaryCosts for a {problem.task} task; expected a function of (rows, y_true, decision)."
    for index, one in enumerate(problem.behaviour):
        if problem.task == "multiclass" and one.expect != "same":
            yield f'behaviour.{index}.expect: got {one.expect!r} for several classes, which have no direction; expected "same".'


def _join_faults(problem: Problem, index: int, join: p.AsOfJoin | p.LookupJoin, names: list[str]) -> Iterator[str]:
    if join.source == problem.target.source:
        yield f"joins.{index}.source: {join.source!r} holds the outcomes; joined as features they tell the answer. Take the join out."
    if join.source not in names:
        return
    right = problem.source(join.source)
    if isinstance(join, p.AsOfJoin) and right.time is None:
        yield f"joins.{index}: an as-of join needs a time, and the source {join.source!r} declares none; set its time, or use LookupJoin."
    if isinstance(join, p.AsOfJoin) and problem.entity in names and problem.time is None:
        yield f"joins.{index}: an as-of join needs the time of the entity, and {problem.entity!r} declares none; use LookupJoin."
    if isinstance(join, p.AsOfJoin) and join.offset < problem.prediction_lead:
        yield (
            f"joins.{index}.offset: got {join.offset} for {join.source!r}; expected at least prediction_lead, {problem.prediction_lead}: "
            "what is observed after the prediction is not known in production."
        )
    if isinstance(join, p.LookupJoin) and right.time is not None:
        yield f"joins.{index}: {join.source!r} has a time, so a lookup could see the future; use AsOfJoin."
    there = set(join.on.values()) | ({right.time} if isinstance(join, p.AsOfJoin) and right.time else set())
    if there != set(right.key):
        yield f"joins.{index}.on: got {sorted(there)} of {join.source!r}; expected its key {sorted(right.key)}, else rows multiply."


def _functions(value: Any) -> Iterator[Any]:
    """The functions in a contract, or the classes of other callables: what stands in a file."""
    if isinstance(value, Part):
        for name in type(value).model_fields:
            yield from _functions(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from _functions(item)
    elif isinstance(value, functools.partial):
        yield from _functions(value.func)
    elif callable(value) and not inspect.isbuiltin(value):
        yield written(value)
