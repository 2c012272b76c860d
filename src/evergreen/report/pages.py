"""Templates to HTML: one environment with autoescape, and how numbers, dates and verdicts are written on every page."""

from __future__ import annotations

import math
import re
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from evergreen.quoting import withheld

if TYPE_CHECKING:
    from jinja2 import Environment

NONE = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
BELOW_ZERO = re.compile(r"(?:(?<=[\s(])|^)-(?=\d)")
"""The hyphen with which sentences write a number below zero."""
# A verdict is a word and a sign, and only then a colour. Paths of the signs on a 16 x 16 grid.
SIGNS = {"good": "M3 8.5 6.5 12 13 4.5", "hold": "M5.5 3v10M10.5 3v10", "bad": "M4 4l8 8M12 4l-8 8"}
TONES = {"PROMOTE": "good", "PASS": "good", "PUBLISHED": "good", "HOLD": "hold", "TAKEN BACK": "hold", "DUPLICATE": "plain"}


def render(template: str, **values: Any) -> str:
    """A page from one of the package's templates; every value is escaped, and what it quotes withheld, unless it is `Markup`."""
    return _environment().get_template(template).render(**values)


def money(value: float | None) -> str:
    """An amount with about three digits and thousands separated: 5,860 or 26.4 or 0.13; a dash when there is none."""
    if not isinstance(value, int | float) or math.isnan(value):
        return NONE
    text = f"{abs(value):,.0f}" if abs(value) >= 100 else f"{abs(value):.3g}"  # noqa: PLR2004 (from here on decimals say nothing)
    return f"{MINUS}{text}" if value < 0 and text != "0" else text


def signed(value: float | None) -> str:
    """The same with a plus sign, for differences."""
    text = money(value)
    return f"+{text}" if isinstance(value, int | float) and value > 0 and text != "0" else text


def whole(value: float | None) -> str:
    """A count without decimals, for "out of 1,000"."""
    return f"{value:,.0f}" if isinstance(value, int | float) else NONE


def told(sentence: str) -> Markup:
    """A sentence in which `commands` between backticks are set as code, and numbers below zero with a minus outside of them."""
    pieces = withheld(sentence).split("`")
    parts = [Markup("<code>{}</code>").format(part) if place % 2 else _set(part) for place, part in enumerate(pieces)]
    return Markup("").join(parts)


def _set(text: str) -> Markup:
    return escape(BELOW_ZERO.sub(MINUS, text))


def percent(share: float | None) -> str:
    """A share (0..1) in percent."""
    return f"{money(100 * share)}%" if isinstance(share, int | float) else NONE


def day(time: str | None) -> str:
    """The date of an ISO time."""
    return time[:10] if time else NONE


def moment(time: str | None) -> str:
    """Date and minute of an ISO time, as it was recorded."""
    return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M %Z}".strip() if time else NONE


def tone(word: str) -> str:
    """The colour's name for a verdict or an outcome."""
    return TONES.get(word.upper(), "bad")


def capital(text: str) -> str:
    """The text with a capital first letter; the others stay."""
    return text[:1].upper() + text[1:]


def badge(word: str) -> Markup:
    """A verdict or an outcome as sign and word."""
    return Markup('<span class="badge {}">{}{}</span>').format(tone(word), sign(word), word.upper())


def sign(word: str) -> Markup:
    """The sign alone, where the word stands beside it."""
    drawn = Markup('<svg class="sign" viewBox="0 0 16 16" aria-hidden="true"><path d="{}"/></svg>')
    return drawn.format(SIGNS[tone(word)]) if tone(word) in SIGNS else Markup("")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader

    loader = PackageLoader("evergreen.report")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=_published)
    environment.filters.update(
        {each.__name__: each for each in (money, signed, whole, percent, day, moment, told, tone, capital, badge, sign)}
    )
    return environment


def _published(value: Any) -> Any:
    """What a template prints: pages may be published."""
    return withheld(value) if isinstance(value, str) and not isinstance(value, Markup) else value
