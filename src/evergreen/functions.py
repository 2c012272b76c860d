"""What stands for a function that somebody else wrote: a name that is the same in every process, and the code that it comes from."""

from __future__ import annotations

import functools
import inspect
import re
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evergreen.files import digest_file, digest_folder, digest_text
from evergreen.parts import Part

INSTALLED = {"site-packages", "dist-packages"}
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
"""What Python writes of an object that has no text of its own; another one in every process."""


class _Told(str):
    """A name in the place of a value whose own text would hold its address in memory."""

    __slots__ = ()
    __repr__ = str.__str__


def name_of(value: Any) -> str:
    """A name that is the same in every process; of a partial with its arguments."""
    if isinstance(value, functools.partial):
        return f"{name_of(value.func)} with {_told(value.args)} {_told(sorted(value.keywords.items()))}"
    if callable(value) and not isinstance(value, Part):
        return _qualified(value if hasattr(value, "__qualname__") else type(value))
    return _qualified(type(value)) if ADDRESS.search(text := str(value)) else text


def _qualified(named: Any) -> str:
    return f"{named.__module__}.{named.__qualname__}"


def written(value: Any) -> Any:
    """What stands in a file of a callable: the function, of a method too; else its class."""
    if inspect.ismethod(value):
        return value.__func__
    return value if inspect.isfunction(value) or inspect.isclass(value) else type(value)


def digest_code(function: Any) -> str:
    """Digest of the code that a callable comes from, and what it was given by `partial`: all of its package where that is no installed one.

    Of an installed package only the file counts.
    """
    return digest_text(name_of(function), *sorted({_digest_code(one) for one in _callables(function)}))


def _digest_code(function: Any) -> str:
    code = written(inspect.unwrap(function))
    package = Path(getattr(sys.modules.get(str(code.__module__).partition(".")[0]), "__file__", None) or "")
    if package.name == "__init__.py" and not _is_installed(package):
        return digest_folder(package.parent)
    try:
        return digest_file(Path(inspect.getfile(code)))
    except TypeError:  # written in C
        return ""


def _is_installed(file: Path) -> bool:
    return bool(INSTALLED & set(file.parts)) or file.is_relative_to(sysconfig.get_path("stdlib"))


def _callables(value: Any) -> Iterator[Any]:
    if isinstance(value, functools.partial):
        yield from _callables([value.func, *value.args, *value.keywords.values()])
    elif isinstance(value, list | tuple | set | frozenset | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _callables(item)
    elif callable(value):
        yield value


def _told(value: Any) -> Any:
    """The same arguments in an order, and with names, that are the same in every process."""
    if isinstance(value, list | tuple):
        return type(value)(map(_told, value)) if type(value) in {list, tuple} else value
    if isinstance(value, dict):
        return {_told(key): _told(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(_told, value), key=repr)
    return _Told(name_of(value)) if (callable(value) and not inspect.isclass(value)) or ADDRESS.search(repr(value)) else value
