"""What one round did, in Markdown."""

import re
from html import unescape
from html.parser import HTMLParser

import decision_records
from gate_evidence import make_evidence
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from evergreen.report.pages import money, signed
from evergreen.report.summary import plain, summarize

TRIGGERS = (
    {"kind": "person", "action": "ask", "rule": "person", "reason": "ann asked for it: a | new feature"},
    {"kind": "data", "action": "start", "rule": "attempt 1", "reason": "a delivery waits"},
    {"kind": "data", "action": "skip", "rule": "cooldown", "reason": "the last training began an hour ago"},
)
DELIVERIES = (
    {"source": "orders", "name": "1.csv", "outcome": "published", "reason": "", "row_count": 1200},
    {"source": "stock", "name": "1.csv", "outcome": "published", "reason": "", "row_count": 34},
    {"source": "orders", "name": "<b>2</b>.csv", "outcome": "quarantined", "reason": "breaks 1 expectation: @all", "row_count": 9},
)


def rendered(markdown: str) -> str:
    """The HTML that a renderer of GitHub's dialect makes of it."""
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)


def text_of(html: str) -> str:
    parts: list[str] = []
    parser = HTMLParser()
    parser.handle_data = parts.append
    parser.feed(html)
    return " ".join("".join(parts).split())


def test_a_verdict_is_told_with_what_every_contender_costs_and_what_the_candidate_saves():
    record = decision_records.make_record()
    html = rendered(summarize(record))
    assert f"<h3>{record['verdict'].upper()}: " in html
    costs = {row["name"]: row["cost_per_1000"] for row in record["money"]}
    rows = [[text_of(cell) for cell in re.findall(r"<td.*?</td>", row)] for row in re.findall(r"<tr>.*?</tr>", html, re.DOTALL)][1:]
    assert rows[0] == ["Candidate, version 7", money(costs["candidate"]), ""]
    assert rows[1][1:] == [money(costs["champion"]), signed(costs["champion"] - costs["candidate"])]
    assert len(rows) == len(costs)
    assert text_of(html).count(text_of(record["why"][0])) == 1
    assert "What happens next:" in html


def test_a_hold_says_what_would_settle_it_and_a_promotion_does_not():
    held = decision_records.make_record(verdict="hold", settle=["Wait for 300 more outcomes."])
    assert "<strong>What would settle it:</strong> Wait for 300 more outcomes." in rendered(summarize(held))
    assert "What would settle it" not in summarize(decision_records.make_record(settle=[]))


def test_a_first_model_is_compared_with_no_champion():
    first = decision_records.make_record(make_evidence(first=True))
    assert "the first model, judged on" in summarize(first)
    assert "against version" in summarize(decision_records.make_record())


def test_what_was_not_judged_is_said_and_so_is_what_asked_and_what_arrived():
    text = summarize(None, deliveries=DELIVERIES, triggers=TRIGGERS)
    html = rendered(text)
    assert "<h3>Nothing was judged</h3>" in html
    assert "ann asked for it: a | new feature" in html
    assert "cooldown" in html
    assert "attempt 1" not in html
    assert "2 published, 1,234 rows (orders, stock)." in html
    assert "quarantined" in html
    assert "<b>" not in html
    assert "@" not in text


def test_where_nothing_arrived_and_nothing_asked_nothing_more_is_told():
    assert summarize(None, triggers=TRIGGERS[1:2]) == "### Nothing was judged\n"


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=80))
@example("<img src=x onerror=alert(1)> | `code` **bold** [link](javascript:x) #12 @all &lt; ~~no~~ \\| 1. - +")
def test_a_text_from_outside_is_shown_as_it_is_and_formats_nothing(text):
    html = rendered(f"| head |\n|---|\n| x{plain(text)}x |")
    inner = re.search(r"<td>x(.*)x</td>", html, re.DOTALL)[1]
    assert "<" not in inner
    assert " ".join(unescape(inner).split()) == " ".join(text.split())
    assert not {"@", "<", ">"} & set(plain(text))
    assert not re.search(r"(?<!\\)#(?!64;)", plain(text))
