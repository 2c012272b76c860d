"""What every part of a contract is: a frozen value, strictly typed, whose mistakes are told in sentences."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from evergreen.cadence import ever_comes
from evergreen.errors import ContractError

_CRON = {
    "minute": (0, 59, ""),
    "hour": (0, 23, ""),
    "day": (1, 31, ""),
    "month": (1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"),
    "weekday": (0, 7, "sun mon tue wed thu fri sat"),
}


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"each column once; listed twice: {', '.join(twice)}")
    return names


def _fewest_first(rows: tuple[int, int]) -> tuple[int, int]:
    if rows[0] > rows[1]:
        raise ValueError("the fewest rows, then the most")
    return rows


def _some_of_all(windows: tuple[int, int]) -> tuple[int, int]:
    if windows[0] > windows[1]:
        raise ValueError("in how many windows, of how many")
    return windows


def _plain_cron(text: str) -> str:
    """Five fields of numbers (or names of months and weekdays), ranges, steps and lists of these, such as "*/15 6-20 * * mon-fri".

    No more than every scheduler understands, so that Prefect and the poll read the same moments.
    """
    fields = text.split()
    if len(fields) != len(_CRON):
        raise ValueError(f'five fields of cron ({", ".join(_CRON)}) such as "30 3 * * *"; these are {len(fields)}')
    for field, (unit, (low, high, names)) in zip(fields, _CRON.items(), strict=True):
        numbers = field.lower()
        for number, name in enumerate(names.split(), start=low):
            numbers = re.sub(rf"\b{name}\b", str(number), numbers)
        for item in numbers.split(","):
            found = re.fullmatch(r"(?:\*|([0-9]+)-([0-9]+))(?:/[1-9][0-9]*)?|([0-9]+)", item)
            bounds = [int(number) for number in (found.groups() if found else ()) if number]
            if not found or bounds != sorted(bounds) or any(not low <= number <= high for number in bounds):
                raise ValueError(f"five fields of cron; {field!r} is no {unit} ({low} to {high}, such as * or {low} or {low}-{high}/2)")
    if not ever_comes(text):
        raise ValueError("five fields of cron that name a moment; these name none, such as a 31st of February")
    return text


Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
Text = Annotated[str, Field(min_length=3)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
MOST_SEED = 2**32 - 1 - 100
"""NumPy takes seeds of 32 bits; the gate tries the next few too."""
Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]
Span = Annotated[timedelta, Field(ge=timedelta(0))]
ColumnNames = Annotated[tuple[str, ...], AfterValidator(_each_once)]
Columns = Annotated[ColumnNames, Field(min_length=1)]
Rows = Annotated[tuple[Annotated[int, Field(ge=0)], Count], AfterValidator(_fewest_first)]
Windows = Annotated[tuple[Count, Count], AfterValidator(_some_of_all)]
Cron = Annotated[str, AfterValidator(_plain_cron)]


def explain(error: ValidationError, *, name: object = None) -> str:
    """Pydantic's findings as sentences: which field, what it got, what it expected; `name` tells one part from others of its kind."""
    lines = []
    for fault in error.errors():
        if fault["type"] == "default_factory_not_called":
            continue  # nobody's mistake: it follows another field, which is told
        field = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = "no such field; is it misspelt?"
        if not field:
            lines.extend(message.splitlines())
        elif fault["type"] == "missing":
            lines.append(f"{field}: is missing.")
        else:
            lines.append(f"{field}: got {fault['input']!r:.80}; expected: {message[:1].lower()}{message[1:]}.".replace("?.", "?"))
    part = error.title if name is None else f"the {error.title} {name!r:.80}"
    return f"The contract is wrong, in {part}:\n" + "\n".join(f"  - {line}" for line in lines)


class Part(BaseModel):
    """A part of a contract: typed strictly, frozen, and without room for a misspelt field."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", arbitrary_types_allowed=True)

    def __init__(self, **values: Any) -> None:
        """Check the part.

        Raises
        ------
        ContractError
            Lists every field that is wrong: what it got, what it expected.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ContractError(explain(error, name=values.get("name", values.get("source")))) from None
