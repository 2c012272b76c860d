"""The page about a quarantined delivery: why it was refused, what was found in it, and how to get it in."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from markupsafe import Markup, escape

from evergreen.data.checkups import Checkup
from evergreen.data.refusals import Refusal
from evergreen.monitoring.profiles import LABEL
from evergreen.report import pages

BESIDE, WAY_BACK = re.compile("<!--beside-->.*?<!--/beside-->", re.DOTALL), "<!--way back-->"
"""What the template marks."""
LINKS = re.compile('<a href="[^"]*">(.*?)</a>', re.DOTALL)


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
    )


def on_the_site(page: str) -> str:
    """The page as part of the site: without what lies beside it in the quarantine, the delivered file above all, and with a way back."""
    way_back = '<a href="../index.html">Control room</a>'
    if WAY_BACK not in page:  # an earlier version wrote it, without marks: its links keep their words
        return LINKS.sub(r"\1", page).replace("</header>", f"{way_back}</header>", 1)
    return BESIDE.sub("", page).replace(WAY_BACK, way_back)


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
    """Text with `names` in backticks set as code; everything else is escaped.

    >>> prose("`temp` < 3")
    Markup('<code>temp</code> &lt; 3')
    """
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(part) if index % 2 else escape(part) for index, part in enumerate(text.split("`")))
