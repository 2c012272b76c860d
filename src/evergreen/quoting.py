"""What is quoted of a delivery is kept apart from the words around it: pages that may be published leave it out, consoles show it.

A quoted value stands between two signs. Whatever is in it, the signs are not: they are written otherwise there. So it survives being
stored, joined and cut as text, and is found again without knowing the sentence.
"""

from __future__ import annotations

import re
from textwrap import shorten
from typing import Any

from evergreen.errors import EvergreenError

BEGIN, END = "\N{MATHEMATICAL LEFT WHITE SQUARE BRACKET}", "\N{MATHEMATICAL RIGHT WHITE SQUARE BRACKET}"
ESCAPE = "\N{WHITE CONCAVE-SIDED DIAMOND}"
WITHHELD = "(not shown here)"
"""What a page says in the place of a value."""
QUOTED = re.compile(f"{BEGIN}([^{END}]*)(?:{END}|\\Z)")
"""A value; one whose end was cut off reaches to the end of the text."""
SIGNS = {ESCAPE: f"{ESCAPE}0", BEGIN: f"{ESCAPE}1", END: f"{ESCAPE}2"}
WRITTEN = {written: sign for sign, written in SIGNS.items()}
OURS = r"(?:Evergreen|Contract|Data|Join|Store|Tampered|Model|Registry|Unreachable|Journal|UnfitRow|Busy|Lost|Refused|Frozen|Revoked)Error"
BEFORE = re.compile(
    r", for instance |[,;] for example:? |cannot be read: |cannot be stored as parquet: |cannot be put in order by [^:]*: "
    r"|cannot be checked[:,] |: it is (?!the champion)|it has the columns |has more than one column "
    rf"|failed: (?!{OURS}: )\w+: "
)
"""Where values begin in what versions wrote that did not keep them apart."""


def quoted(value: object) -> str:
    """A value of a delivery, or a message that may hold one, as it is put into a sentence.

    >>> withheld(f"no number: {quoted('Ada')}")
    'no number: (not shown here)'
    """
    return f"{BEGIN}{re.sub('|'.join(SIGNS), lambda found: SIGNS[found[0]], str(value))}{END}"


def withheld(text: str) -> str:
    """The text without its quoted values: for whatever may be published."""
    return QUOTED.sub(WITHHELD, text)


def revealed(text: str) -> str:
    """The text with its quoted values as they were: for consoles, alerts and the pages beside what was delivered."""
    return QUOTED.sub(lambda found: as_it_was(found[1]), text)


def as_it_was(value: str) -> str:
    """What stands between the signs, as it was before it was quoted."""
    return re.sub("|".join(WRITTEN), lambda found: WRITTEN[found[0]], value)


def shortened(text: str, most: int) -> str:
    """The text on one line of about `most` characters at the most; a value that is cut stays one."""
    short = shorten(text, most, placeholder=" …")
    return short + END if short.rfind(BEGIN) > short.rfind(END) else short


def in_words(error: BaseException, *, most: int = 1_000) -> str:
    """An error's message on one line: our own words, in which values are quoted already, or all of it as a value."""
    said = " ".join(str(error).split())
    return said if isinstance(error, EvergreenError) else quoted(said[:most])


def apart(text: str) -> str:
    """A text from the journal; where an earlier version wrote it, all that may be values is quoted."""
    found = None if BEGIN in text else BEFORE.search(text)
    return text if found is None else f"{text[: found.end()]}{quoted(text[found.end() :])}"


def public(told: Any) -> Any:
    """The same lists and mappings with all their texts as `withheld` has them; anything else stays."""
    if isinstance(told, dict):
        return {key: public(value) for key, value in told.items()}
    if isinstance(told, list | tuple):
        return type(told)([public(value) for value in told])
    return withheld(told) if isinstance(told, str) else told
