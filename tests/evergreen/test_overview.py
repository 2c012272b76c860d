import re
from pathlib import Path
from typing import Any

import pytest
from decision_records import make_record
from gate_evidence import make_evidence
from toy.contract import PROBLEM

from evergreen.files import read_json
from evergreen.report.contract import describe
from evergreen.report.site import Overview, render_overview, with_override, write_decision, write_site

COSTS = {"candidate": 5_860.0, "champion": 6_230.0, "rule of thumb": 6_920.0}


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    money = [{"name": n, "label": f"the {n}", "cost_per_1000": c, "measure_per_1000": c} for n, c in COSTS.items()]
    return make_record() | {"money": money, "verdict": "promote"}


def delivery(**changes: Any) -> dict[str, Any]:
    row = {"source": "orders", "name": "2024-01.csv", "delivery": "ab" * 32, "outcome": "published", "reason": ""}
    return row | {"newest": "2024-01-31T23:00:00+00:00", "row_count": 1200, "at": "2024-02-01T03:30:00+00:00", "warnings": []} | changes


def publication(saved: float, **changes: Any) -> dict[str, Any]:
    realized = {"rows": 900, "cost_per_1000": 10.0, "rule_of_thumb_per_1000": 12.0, "no_model_per_1000": 15.0}
    return {
        "partition": "2024-01-01",
        "version": 7,
        "rows": 1000,
        "realized": realized | {"saved": saved, "saved_against_no_model": saved - 500},
    } | changes


def tiles(html: str) -> str:
    return re.sub(r"<[^>]+>|\s+", " ", html[html.index('<div class="tiles"') : html.index("<h2>Is anything wrong?")])


def test_an_overview_of_nothing_says_what_is_missing_and_shows_the_contract():
    html = render_overview(Overview(), PROBLEM)
    assert "None yet" in tiles(html)
    assert "No model has been judged yet." in html
    assert "Nothing has been published yet" in html
    assert html.count("nothing delivered yet") == len(PROBLEM.sources)
    assert ">None<" not in html
    assert "undefined" not in html.lower()
    for heading, _ in describe(PROBLEM):
        assert f"<h3>{heading}</h3>" in html


def test_the_champion_is_told_with_its_date_and_what_it_costs(record: dict[str, Any]):
    promotions = [
        {"version": 7, "state": "intent", "at": "2024-02-01T03:31:00+00:00"},
        {"version": 7, "state": "done", "at": "2024-02-01T03:32:00+00:00"},
    ]
    told = tiles(render_overview(Overview(champion=7, decisions=[record], promotions=promotions), PROBLEM))
    assert "Version 7" in told
    assert "serves since 2024-02-01 03:32 UTC" in told
    assert "5,860 EUR" in told
    assert "15.3% less than the rule of thumb (6,920)" in told


def test_a_version_that_was_only_meant_to_be_promoted_has_no_date(record: dict[str, Any]):
    promotions = [{"version": 7, "state": "intent", "at": "2024-02-01T03:31:00+00:00"}]
    assert "serves since" not in render_overview(Overview(champion=7, decisions=[record], promotions=promotions), PROBLEM)


def test_the_cost_told_is_the_champions_own_and_not_the_last_candidates(record: dict[str, Any]):
    refused = record | {"verdict": "reject", "decision": "d8", "candidate": record["candidate"] | {"version": 8}}
    refused = refused | {"money": [row | {"cost_per_1000": 9_999.0} for row in record["money"]]}
    told = tiles(render_overview(Overview(champion=7, decisions=[record, refused]), PROBLEM))
    assert "5,860 EUR" in told
    assert "9,999" not in told


def test_decisions_are_listed_newest_first_with_their_verdicts_and_links(record: dict[str, Any]):
    records = [record | {"decision": f"d{i}", "verdict": verdict} for i, verdict in enumerate(("hold", "promote", "reject"))]
    html = render_overview(Overview(decisions=records), PROBLEM)
    table = html[html.index('<h2 id="decisions">') : html.index('<h2 id="service">')]
    assert re.findall(r"decisions/(\w+)\.html", table) == ["d2", "d1", "d0"]
    assert re.findall(r"</svg>(\w+)</span>", table) == ["REJECT", "PROMOTE", "HOLD"]
    assert '<svg class="plot"' in table


def test_one_decision_is_no_line_to_draw(record: dict[str, Any]):
    assert '<svg class="plot"' not in render_overview(Overview(decisions=[record]), PROBLEM)


def test_what_was_saved_is_the_sum_over_what_has_outcomes():
    publications = [publication(500.0), publication(-120.0), publication(0.0, realized=None, rows=77)]
    html = render_overview(Overview(champion=7, publications=publications), PROBLEM)
    told = re.sub(r"<[^>]+>", "", html)
    assert (
        '<strong class="good-text">380 EUR</strong> against the rule of thumb, and <strong class="bad-text">\u2212620 EUR</strong>' in html
    )
    assert "against no model (each period by the best single answer for all, which nobody knows before), on 1,800 predictions" in told
    assert "waiting for outcomes" in html
    assert '<span class="bad-text">\N{MINUS SIGN}120</span>' in html


def test_a_refused_delivery_stays_listed_and_says_whether_a_corrected_one_came():
    refused = delivery(outcome="quarantined", reason="breaks `amount` < 3", row_count=None, newest=None)
    html = render_overview(Overview(deliveries=[refused]), PROBLEM)
    assert f'href="quarantine/orders-{"ab" * 8}.html"' in html
    assert "It waits in quarantine." in html
    assert "breaks <code>amount</code> &lt; 3" in html
    mended = delivery(delivery="cd" * 32, at="2024-02-02T03:30:00+00:00")
    html = render_overview(Overview(deliveries=[refused, mended]), PROBLEM)
    assert "A corrected one was published since." in html
    assert "It waits in quarantine." not in html
    broken_again = render_overview(Overview(deliveries=[mended, refused]), PROBLEM)
    assert "It waits in quarantine." in broken_again


def test_the_last_delivery_of_a_source_is_shown_and_the_refusal_before_it_stays_listed():
    refused = delivery(outcome="quarantined", reason="is empty")
    later = delivery(name="2024-02.csv", delivery="cd" * 32)
    html = render_overview(Overview(deliveries=[refused, later]), PROBLEM)
    assert "<td>2024-02.csv</td>" in html
    assert "<td>2024-01.csv</td>" not in html
    assert "orders/2024-01.csv</a>: the delivery is empty." in html


def test_names_from_deliveries_stay_text():
    html = render_overview(Overview(deliveries=[delivery(name="<script>.csv", outcome="quarantined", reason="<b>")]), PROBLEM)
    assert "<script" not in html
    assert "&lt;script&gt;.csv" in html


def test_the_overview_loads_nothing_from_anywhere(record: dict[str, Any]):
    html = render_overview(Overview(decisions=[record, record], deliveries=[delivery()], publications=[publication(1.0)]), PROBLEM)
    assert re.findall(r"(?<!xmlns=\")(?<!xmlns:xlink=\")https?://", html) == []
    assert all(re.match(r"#|decisions/|quarantine/|data:,$", link) for link in re.findall(r'href="([^"]*)"', html))


def test_the_site_is_written_whole_and_every_link_to_a_decision_leads_to_its_page(tmp_path: Path, record: dict[str, Any]):
    other = make_record(make_evidence(first=True), decision="first")
    index = write_site(tmp_path / "site", Overview(decisions=[other, record]), PROBLEM)
    assert index == tmp_path / "site" / "index.html"
    links = re.findall(r'href="(decisions/[^"]*)"', index.read_text())
    assert set(links) == {"decisions/first.html", "decisions/d7.html"}
    for link in links:
        page = (tmp_path / "site" / link).read_text()
        assert 'href="../index.html"' in page
    assert "the first model" in (tmp_path / "site/decisions/first.html").read_text()


def test_a_decision_is_written_as_a_page_and_as_json_whichever_of_them_is_missing(tmp_path: Path, record: dict[str, Any]):
    page, file = write_decision(tmp_path, record, PROBLEM)
    assert (page, file) == (tmp_path / "decisions" / "d7.html", tmp_path / "decisions" / "d7.json")
    assert read_json(file) == record
    whole = page.read_bytes()
    page.unlink()
    write_decision(tmp_path, record, PROBLEM)
    file.unlink()
    write_decision(tmp_path, record, PROBLEM)
    assert (page.read_bytes(), read_json(file)) == (whole, record)


def test_pages_of_earlier_decisions_are_kept_unless_asked_for_anew(tmp_path: Path, record: dict[str, Any]):
    view = Overview(decisions=[record])
    write_site(tmp_path, view, PROBLEM)
    page = tmp_path / "decisions" / "d7.html"
    page.write_text("of its time")
    write_site(tmp_path, view, PROBLEM)
    assert page.read_text() == "of its time"
    write_site(tmp_path, view, PROBLEM, anew=True)
    assert "PROMOTE" in page.read_text()


OVERRIDE = {
    "person": "Ada",
    "reason": "known & harmless",
    "checks": ["leakage"],
    "at": "2024-02-03T04:05:06+00:00",
    "last_day": "2024-03-01",
}


def test_what_is_out_of_the_ordinary_stands_at_the_top_in_its_tone():
    html = render_overview(
        Overview(notices=[("hold", "Promotions are frozen."), ("bad", "It expired; run `evergreen run` <now>.")]), PROBLEM
    )
    assert '<p class="notice hold">Promotions are frozen.</p>' in html
    assert '<p class="notice bad">It expired; run <code>evergreen run</code> &lt;now&gt;.</p>' in html
    assert html.index('<p class="notice bad">') < html.index('<div class="tiles"')
    assert '<p class="notice' not in render_overview(Overview(), PROBLEM)


def test_an_overruled_decision_is_marked_in_the_list_and_told_on_its_page(tmp_path: Path, record: dict[str, Any]):
    overruled = with_override(record | {"verdict": "reject"}, {record["decision"]: OVERRIDE})
    other = with_override(record | {"decision": "d8"}, {record["decision"]: OVERRIDE})
    assert "override_used" not in other
    html = render_overview(Overview(decisions=[overruled, other]), PROBLEM)
    assert html.count("</span> overruled</td>") == 1
    page, file = write_decision(tmp_path, overruled, PROBLEM)
    told = re.sub(r"<[^>]+>|\s+", " ", page.read_text())
    assert "Overruled by Ada on 2024-02-03 04:05 UTC, through 2024-03-01 (UTC): known &amp; harmless" in told
    assert read_json(file) == overruled
    assert "Overruled" not in write_decision(tmp_path, other, PROBLEM)[0].read_text()


def test_an_override_that_came_after_the_page_is_written_into_it_and_stays(tmp_path: Path, record: dict[str, Any]):
    page, file = write_decision(tmp_path, record, PROBLEM)
    overruled = with_override(record, {record["decision"]: OVERRIDE})
    write_decision(tmp_path, overruled, PROBLEM)
    assert "Overruled by Ada" in page.read_text()
    write_decision(tmp_path, record, PROBLEM)  # a round that only asks for the verdict again
    assert "Overruled by Ada" in page.read_text()
    page.write_text("of its time")
    write_decision(tmp_path, overruled, PROBLEM)
    assert page.read_text() == "of its time"
    longer = with_override(record, {record["decision"]: OVERRIDE | {"last_day": "2024-03-09"}})
    write_decision(tmp_path, longer, PROBLEM)
    assert "through 2024-03-09" in page.read_text()
    assert read_json(file) == longer
