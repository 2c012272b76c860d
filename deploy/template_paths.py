"""What is the template's in a fork and what is the fork's own: files, and lines of pyproject.toml."""

from __future__ import annotations

import re

OWN_FOLDERS = ("src/problem/", "expectations/", "data/", "tests/problem/")
OWN_FILES = frozenset({"README.md", "LICENSE", ".env"})
SETTINGS = "pyproject.toml"
LOCK = re.compile(r"requirements[\w.-]*\.txt")

BLOCK = re.compile(r"(?m)^[ \t]*# YOURS\b.*\n(?P<own>(?:(?!\]).*\n)*)(?=\])")
"""The lines under "# YOURS", up to the bracket that closes the list."""
NAMES = tuple(
    re.compile(rf"(?ms)^\[project\]\n(?:(?!\[).*\n)*?(?P<own>{key} *=.*\n)".replace(".*", r"[^\n]*"))
    for key in ("name", "version", "description")
)
"""A fork's name, version and description, a line each."""


def is_own(path: str) -> bool:
    """Whether a path is the fork's from the first day, so that no update touches it."""
    return path in OWN_FILES or path.startswith(OWN_FOLDERS)


def is_lock(path: str) -> bool:
    """Whether a path is a lock, which is taken from the template and compiled again."""
    return LOCK.fullmatch(path) is not None


def is_compared(path: str) -> bool:
    """Whether a path says which version a fork was made from."""
    return not is_own(path) and not is_lock(path)


def carry_own_lines(text: str, *, fork: str, base: str) -> str:
    """A pyproject.toml of the template with the lines that are the fork's own, where it has changed them.

    Done to both sides of a comparison, these lines differ nowhere, so that a template's line beside them can change without a conflict.
    """
    for lines in (BLOCK, *NAMES):
        here, mine, before = (lines.search(each) for each in (text, fork, base))
        if here and mine and before and mine["own"] != before["own"]:
            text = text[: here.start("own")] + mine["own"] + text[here.end("own") :]
    return text
