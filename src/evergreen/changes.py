"""What differs between a candidate and the champion, for people: data, window, features, parameters, packages, contract, code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import unified_diff
from pathlib import Path
from typing import Any

from evergreen.contract import Problem
from evergreen.files import digest_bytes

MOST_LINES = 400
"""A longer difference of the code is cut there: nobody reads it on a page, and it stands in the two models' own folders."""
MOST_NAMED = 5
"""A sentence that lists more is not read; the rest is counted, and stands in the table."""


@dataclass(frozen=True)
class Made:
    """What a version was made from."""

    facts: dict[str, Any]
    """As registered; `packages` (names to locked versions) may be missing from those of an older version."""
    batches: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Digests by source, of the version's snapshot."""
    code: Path | None = None
    """The folder with the problem's package in the stored model."""


def changes(problem: Problem, new: Made, old: Made | None) -> dict[str, Any]:
    """What differs between a candidate and the champion (None: there is none).

    Returns
    -------
    dict
        `sentences`; `window` (`now` and `before`, each with `start`, `end`, `rows`); `batches` by source, `features` (each `added` and
        `removed`), `parameters` and `packages` (each `name`, `before`, `now`; None where one has it not) and `code` (`file`, `diff`):
        only what differs. Safe for JSON.
    """
    if old is None:
        return {"sentences": ["It is the first model: there is nothing to compare it with."]}
    found: dict[str, Any] = {
        "window": {"now": _window(new.facts), "before": _window(old.facts)},
        "batches": _batches(new.batches, old.batches),
        "features": _moved(new.facts.get("features", ()), old.facts.get("features", ())),
        "parameters": _replaced(new.facts["parameters"], old.facts["parameters"]),
        "packages": _replaced(new.facts["packages"], old.facts["packages"]) if _know_packages(new, old) else [],
        "code": _code(new.code, old.code) if _differ(new, old, "code") else [],
    }
    return {"sentences": [*_of_data(problem, new, old, found), *_of_recipe(found), *_of_code(new, old, found)], **found}


def _of_data(problem: Problem, new: Made, old: Made, found: dict[str, Any]) -> list[str]:
    learnt = "{rows:,} {things} up to {training_end:.10}" if problem.time else "{rows:,} {things}"
    now, was = (
        learnt.format(things=problem.things, rows=made.facts["rows"], training_end=made.facts["training_end"] or "unknown")
        for made in (new, old)
    )
    told = [f"Training data: {now}; before, {was}."]
    batches = [f"{source} {_plus_minus(counts)}" for source, counts in found["batches"].items()]
    return told + ([f"Batches of data: {'; '.join(batches)}."] if batches else [])


def _of_recipe(found: dict[str, Any]) -> list[str]:
    told = [f"Features {word}: {', '.join(found['features'][word])}." for word in ("added", "removed") if found["features"][word]]
    return told + ([_replacements("Parameters", found["parameters"])] if found["parameters"] else [])


def _of_code(new: Made, old: Made, found: dict[str, Any]) -> list[str]:
    told = ["The contract changed."] if _differ(new, old, "contract") else []
    if _differ(new, old, "code"):
        files = [one["file"] for one in found["code"]]
        told.append(f"The problem's code changed{f': {_few(files)}' if files else ''}.")
    if _differ(new, old, "lock"):
        told.append("The locked packages changed." if not found["packages"] else _replacements("Locked packages", found["packages"]))
    return told


def _window(facts: dict[str, Any]) -> dict[str, Any]:
    return {"start": facts.get("training_start"), "end": facts.get("training_end"), "rows": facts.get("rows")}


def _batches(new: Mapping[str, Sequence[str]], old: Mapping[str, Sequence[str]]) -> dict[str, dict[str, int]]:
    found = {}
    for source in sorted({*new, *old}):
        now, was = Counter(new.get(source, ())), Counter(old.get(source, ()))
        if now != was:
            found[source] = {"added": (now - was).total(), "removed": (was - now).total()}
    return found


def _moved(new: Sequence[str], old: Sequence[str]) -> dict[str, list[str]]:
    return {"added": [name for name in new if name not in old], "removed": [name for name in old if name not in new]}


def _replaced(new: dict[str, Any], old: dict[str, Any]) -> list[dict[str, Any]]:
    names = sorted({*new, *old})
    return [{"name": name, "before": old.get(name), "now": new.get(name)} for name in names if new.get(name) != old.get(name)]


def _know_packages(new: Made, old: Made) -> bool:
    return "packages" in new.facts and "packages" in old.facts


def _differ(new: Made, old: Made, part: str) -> bool:
    return bool(new.facts["provenance"][part] != old.facts["provenance"][part])


def _code(new: Path | None, old: Path | None) -> list[dict[str, str]]:
    """The difference of every file that is not the same, in all at most `MOST_LINES` lines; bytecode does not count."""
    if new is None or old is None:
        return []
    now, was = _texts(new), _texts(old)
    found, room = [], MOST_LINES
    for name in sorted({*now, *was}):
        if now.get(name) == was.get(name):
            continue
        lines = list(unified_diff(was.get(name, []), now.get(name, []), f"before/{name}", f"now/{name}", lineterm=""))
        kept, room = lines[:room], max(0, room - len(lines))
        cut = [f"... {len(lines) - len(kept):,} more lines stand in the models' own folders."] if len(kept) < len(lines) else []
        found.append({"file": name, "diff": "\n".join(kept + cut)})
    return found


def _texts(folder: Path) -> dict[str, list[str]]:
    """The lines of every file, by its path below the folder; what is no text counts as one line, its size."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content = path.read_bytes()
            try:
                lines = content.decode().splitlines()
            except UnicodeDecodeError:
                lines = [f"{len(content):,} bytes that are no text, {digest_bytes(content)[:12]}"]
            found[path.relative_to(folder).as_posix()] = lines
    return found


def _plus_minus(counts: dict[str, int]) -> str:
    return " and ".join(f"{counts[word]:,} {word}" for word in ("added", "removed") if counts[word])


def _replacements(what: str, found: list[dict[str, Any]]) -> str:
    told = [f"{one['name']} {_value(one['now'])} (before, {_value(one['before'])})" for one in found]
    return f"{what}: {_few(told)}."


def _value(value: Any) -> str:
    return "not set" if value is None else str(value)


def _few(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
