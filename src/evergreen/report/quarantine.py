"""The page about a quarantined delivery: why it was refused, what was found in it, and how to get it in."""

from __future__ import annotations

from urllib.parse import quote

from markupsafe import Markup, escape

from evergreen.data.batches import Refusal
from evergreen.report import pages


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
        copy=quote(f"delivered/{refusal.name}"),
        prose=prose,
    )


def prose(text: str) -> Markup:
    """Text with `names` in backticks set as code; everything else is escaped.

    >>> prose("`temp` < 3")
    Markup('<code>temp</code> &lt; 3')
    """
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(part) if index % 2 else escape(part) for index, part in enumerate(text.split("`")))
