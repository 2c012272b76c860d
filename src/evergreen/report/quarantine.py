"""The page about a quarantined delivery: why it was refused, what was found in it, and how to get it in."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from markupsafe import Markup, escape

from evergreen.data.checkups import Checkup
from evergreen.data.refusals import Refusal
from evergreen.monitoring.profiles import LABEL
from evergreen.quoting import QUOTED, WITHHELD, as_it_was
from evergreen.report import pages
from evergreen.report.rooms import refused_for

BESIDE, VALUE = re.compile("<!--beside-->.*?<!--/beside-->", re.DOTALL), re.compile("<!--value-->.*?<!--/value-->", re.DOTALL)
WAY_BACK, MARKED = "<!--way back-->", "<!--values are marked-->"
"""What the page marks: what only makes sense beside the delivery, values of the delivery, and that it marks them."""
BEFORE = "<h2>What to do now</h2>"
"""The heading before which the site says where the values are."""


def render(refusal: Refusal) -> str:
    """HTML of the page; the delivered file and the machine's own records lie beside it."""
    report = refusal.report
    return pages.render(
        "quarantine.html.j2",
        problem_name="Quarantine",
        refusal=refusal,
        rows=report.rows if report else None,
        failed=report.failed if report else (),
        warned=report.warnings if report else (),
        passed=[check for check in report.checks if check.passed] if report else (),
        unlike=[one for one in refusal.checkup.findings if one.state in {"fail", "warn"} and one.pillar != "check"],
        columns=side_by_side(refusal.checkup),
        copy=quote(f"delivered/{refusal.name}"),
        prose=prose,
        value=value,
    )


def on_the_site(page: str, row: dict[str, Any]) -> str:
    """The page as part of the site: without values, without what lies beside it in the quarantine, and with a way back and one to all that.

    Of a page that an earlier version wrote nobody knows where its values are: what `row`, the journal's row of the delivery, tells stands
    in its place.
    """
    if MARKED not in page:
        return pages.render("refused.html.j2", problem_name="Quarantine", row=row, reason=refused_for(row["reason"]), whole=whole_page(row))
    left = VALUE.sub(WITHHELD, BESIDE.sub("", page)).replace(WAY_BACK, '<a href="../index.html">Control room</a>')
    where = Markup(
        "<p>This page may be published, so it shows no value of the delivery. The page that does is <code>{}</code> in the home "
        "(<code>var</code>, or what <code>EVERGREEN_HOME</code> names).</p>\n\n"
    )
    return left.replace(BEFORE, where.format(whole_page(row)) + BEFORE, 1)


def whole_page(row: dict[str, Any]) -> str:
    """Where the page of a refused delivery is that shows its values, seen from the home; `row` is the journal's."""
    return f"quarantine/{row['source']}/{row['delivery'][:16]}/index.html"


def side_by_side(checkup: Checkup) -> list[dict[str, Any]]:
    """Each column of the delivery beside that of the last accepted one: what is missing, and the middle or the commonest value.

    `distance` is how far they differ (0..1), `state` the worst finding on the column; what was not compared is None.
    """
    now, then = (known.get("columns", {}) for known in (checkup.profile, checkup.last))
    gaps = {one.column: one.value for one in checkup.findings if one.rule == "values"}
    states = {one.column: one.state for state in ("warn", "fail") for one in checkup.of(state)}
    return [
        {
            **{"name": "the outcome" if name == LABEL else name, "distance": gaps.get(name), "state": states.get(name)},
            **{"missing": [each["missing"] if each else None for each in (then.get(name), column)]},
            **{"middle": [_middle(each) for each in (then.get(name), column)]},
        }
        for name, column in now.items()
        if then
    ]


def _middle(column: dict[str, Any] | None) -> str:
    """The median of a number, the commonest category; empty where there is neither."""
    if column is None:
        return ""
    if points := column.get("quantiles"):
        return pages.money(points[len(points) // 2])
    if shares := column.get("shares"):
        name = max(shares, key=lambda each: (shares[each], each))
        return f"{name} ({pages.percent(shares[name])})"
    return ""


def prose(text: str) -> Markup:
    """Text with `names` in backticks set as code, and with its quoted values as they were, marked; everything is escaped.

    >>> prose("`temp` < 3")
    Markup('<code>temp</code> &lt; 3')
    """
    parts = [value(as_it_was(part)) if index % 2 else _coded(part) for index, part in enumerate(QUOTED.split(text))]
    return Markup("").join(parts)


def value(text: str) -> Markup:
    """A value of the delivery, marked as one."""
    return Markup("<!--value-->{}<!--/value-->").format(_coded(text))


def _coded(text: str) -> Markup:
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(part) if index % 2 else escape(part) for index, part in enumerate(text.split("`")))
