import re
import zipfile
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decision_records import CHANGES, make_record, regression_evidence, rich_record
from gate_evidence import change, make_evidence, saving
from toy.contract import PROBLEM

from evergreen.gate.evidence import CANDIDATE
from evergreen.report import plots
from evergreen.report.decision import render_decision
from evergreen.report.pages import told

AMOUNT = "USD per 1,000 flights"
VOID = {"meta", "link", "br", "hr", "img", "input", "path", "use"}


class Page(HTMLParser):
    """What a reader gets: every tag with its attributes, and the text without markup."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data

    def values(self, attribute: str) -> list[str]:
        return [str(attrs[attribute]) for _, attrs in self.tags if attribute in attrs]

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


@pytest.fixture(scope="module")
def held() -> dict[str, Any]:
    """A candidate that may be worse than the margin allows."""
    return make_record(saving(make_evidence(), -0.05, spread=0.8))


@pytest.fixture(scope="module")
def html(held: dict[str, Any]) -> str:
    """Its page, with the contract at hand."""
    return render_decision(held, PROBLEM)


def test_every_verdict_stands_on_the_page_as_a_word_and_a_sign():
    evidence = make_evidence()
    for amount, spread, word, tone in [(0.5, 0.1, "PROMOTE", "good"), (-0.05, 0.8, "HOLD", "hold"), (-0.5, 0.1, "REJECT", "bad")]:
        gated = saving(saving(evidence, amount, spread=spread), amount, spread=spread, over="anchor")
        html = render_decision(make_record(gated), None)
        banner = html[html.index('<section class="verdict') : html.index("</section>")]
        assert banner.startswith(f'<section class="verdict {tone}">')
        assert f"</svg>{word}</span>" in banner
        assert all(f"</svg>{other}</span>" not in banner for other in {"PROMOTE", "HOLD", "REJECT"} - {word})


def test_what_would_settle_a_hold_is_told_and_a_promotion_needs_nothing_settled(held: dict[str, Any], html: str):
    assert "What would settle it" in html
    assert held["settle"][0] in Page(html).text
    assert "What would settle it" not in render_decision(held | {"settle": []}, None)


def test_a_category_that_looks_like_html_stays_text(held: dict[str, Any]):
    evil = "<script>alert('x')</script>"
    slices = [{"column": evil, "value": evil, "n": 500, "candidate": 1.0, "champion": 2.0}]
    record = held | {
        "headline": evil,
        "why": [f"`{evil}`"],
        "question": evil,
        "plots": held["plots"] | {"slices": slices},
        "facts": {evil: [evil]},
    }
    html = render_decision(record, None)
    assert "<script" not in html
    assert Page(html).text.count("alert('x')") >= 4


def test_the_page_loads_nothing_from_anywhere(html: str):
    assert re.findall(r"(?<!xmlns=\")(?<!xmlns:xlink=\")https?://", html) == []
    assert "@import" not in html
    page = Page(html)
    assert {value for value in page.values("href") if not value.startswith("#")} == {"data:,"}
    assert page.values("src") == []
    assert page.count("script") == 0


def test_ids_are_unique_and_every_inner_link_leads_somewhere(html: str):
    page = Page(html)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    targets = {value[1:] for name in ("href", "xlink:href") for value in page.values(name) if value.startswith("#")}
    targets |= {name for value in page.values("aria-labelledby") for name in value.split()}
    assert targets <= set(ids)


def test_every_check_has_an_anchor_and_the_money_links_to_the_check_behind_it(held: dict[str, Any], html: str):
    for finding in held["findings"]:
        assert f'<li id="check-{finding["check"]}">' in html
    costs = html[html.index("What it costs") : html.index("What that means")]
    assert costs.count('href="#check-champion"') == 3 + 1  # candidate, champion, anchor; and under the plot
    assert costs.count('href="#check-baseline"') == 3 + 1  # dummy, rule of thumb, best trivial policy; and under the plot


def test_every_sentence_of_why_leads_to_a_check(held: dict[str, Any], html: str):
    why = html[html.index("<h2>Why</h2>") : html.index("What would settle it")]
    assert why.count('class="ref" href="#check-champion"') == len(held["why"])
    first = make_record(make_evidence(first=True))
    assert render_decision(first, None).count('class="ref" href="#check-baseline"') == len(first["why"])


def test_what_passed_is_folded_and_counted_and_what_did_not_is_not(held: dict[str, Any]):
    rich = rich_record(saving(make_evidence(), -0.05, spread=0.8))
    html = render_decision(rich, PROBLEM)
    total, passed = len(rich["findings"]), sum(finding["outcome"] == "pass" for finding in rich["findings"])
    assert (total, passed) == (18, 17)
    assert "17 of 18 checks passed. This stands in the way:" in html
    folded = html[html.index('<ul class="passed">') : html.index("What could not be judged")]
    assert folded.count("<details><summary>") == passed
    assert 'id="check-champion"' not in folded
    assert all(told(finding["reason"]).unescape() in Page(folded).text for finding in rich["findings"] if finding["outcome"] == "pass")
    two = [finding | ({"outcome": "reject"} if finding["check"] == "size" else {}) for finding in held["findings"]]
    assert "These stand in the way:" in render_decision(held | {"findings": two}, None)
    fine = [finding | {"outcome": "pass"} for finding in rich["findings"]]
    assert "All 18 checks passed." in render_decision(rich | {"findings": fine}, None)


@pytest.fixture(scope="module")
def rich() -> str:
    """The page of a record with everything in it."""
    return render_decision(rich_record(), PROBLEM)


def test_what_changed_is_told_in_sentences_with_tables_and_code_folded(rich: str):
    text = Page(rich).text
    assert all(sentence in text for sentence in CHANGES["sentences"])
    assert "Parameters, 2 changed" in rich
    assert "<code>model__max_leaf_nodes</code></th><td>not set</td><td>31</td>" in rich
    assert "<code>numpy</code></th><td>2.4.0</td><td>2.4.1</td>" in rich
    assert '<th scope="row">weather</th><td class="number">2</td><td class="number">1</td>' in rich
    assert "<summary>Code: problem/features.py</summary>" in rich
    for kind, line in {"new": "+    return", "gone": "-    return", "same": " def add_features", "place": "+++ now/"}.items():
        assert f'<span class="{kind}">{line}' in rich


def test_code_that_changed_stays_text():
    evil = {"file": "<b>.py", "diff": "+<script>alert(1)</script>"}
    html = render_decision(rich_record(changes={"code": [evil]}), None)
    assert "<script" not in html
    assert '<span class="new">+&lt;script&gt;alert(1)&lt;/script&gt;</span>' in html
    assert "&lt;b&gt;.py" in html


def test_the_diagnosis_stands_beside_the_learning_curve(rich: str):
    part = rich[rich.index("Is the model too simple") : rich.index("Accepted risk")]
    assert "points to neither overfitting" in part
    assert "no verdict depends on it" in part
    assert '<svg class="plot"' in part
    assert '<a href="#check-generalization">generalization</a>, <a href="#check-baseline">baseline</a>.' in part


def test_a_learning_curve_is_drawn_with_what_doing_without_costs():
    rows = [{"rows": 100, "train": 3_000.0, "holdout": 6_000.0}, {"rows": 2_500, "train": 4_000.0, "holdout": 5_000.0}]
    text = Page(plots.learning_curve(rows, amount=AMOUNT, doing_without=8_000.0)).text
    assert "100 rows: 3,000 on those, 6,000 on rows not seen; 2,500 rows: 4,000 on those, 5,000 on rows not seen." in text
    assert all(word in text for word in ("not seen", "learnt from", "doing without", "2,500"))
    assert "doing without" not in Page(plots.learning_curve(rows, amount=AMOUNT, doing_without=None)).text
    assert plots.learning_curve(rows[:1], amount=AMOUNT, doing_without=8_000.0) == ""


def test_an_override_stands_above_the_verdict(held: dict[str, Any], html: str):
    used = {"person": "ann", "reason": "Needed <now>.", "last_day": "2013-12-31", "at": "2013-11-02T09:00:00+00:00"}
    page = render_decision(held | {"override_used": used}, None)
    above = Page(page[page.index("<main>") : page.index('<section class="verdict')] + "</main>").text
    told = "Overruled by ann on 2013-11-02 09:00 UTC, through 2013-12-31 (UTC): Needed <now>."
    assert told in above
    assert '<p class="banner' not in html


def test_a_record_of_before_these_keys_still_has_a_page():
    record = rich_record()
    old = {key: value for key, value in record.items() if key not in {"changes", "diagnosis", "best_trivial_measure"}}
    old["plots"] = {key: value for key, value in record["plots"].items() if key != "learning_curve"}
    html = render_decision(old, PROBLEM)
    assert "Is the model too simple" not in html
    assert "<summary>Code" not in html
    assert CHANGES["sentences"][0] in html


def test_two_findings_of_one_check_get_different_anchors(held: dict[str, Any]):
    page = Page(render_decision(held | {"findings": held["findings"] * 2}, PROBLEM))
    assert {"check-champion", "check-champion-2"} <= set(page.values("id"))
    assert len(page.values("id")) == len(set(page.values("id")))


def test_what_stands_in_the_way_comes_before_what_passed(held: dict[str, Any], html: str):
    assert held["findings"][0]["outcome"] == "pass"
    assert html.index('<li id="check-champion">') < html.index('<li id="check-provenance">')


def test_savings_are_what_the_other_costs_less_what_the_candidate_costs(held: dict[str, Any]):
    costs = {"candidate": 5_860.0, "champion": 6_230.0, "rule of thumb": 5_800.0}
    money = [{"name": n, "label": f"the {n}", "cost_per_1000": c, "measure_per_1000": c} for n, c in costs.items()]
    html = render_decision(held | {"money": money}, None)
    assert '<span class="good-text">+370</span>' in html
    assert '<span class="bad-text">\N{MINUS SIGN}60</span>' in html


def test_the_page_has_headings_in_order_captions_and_a_language(html: str):
    page = Page(html)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.count("table") == page.count("caption") == 3
    assert '<html lang="en">' in html


def test_every_plot_has_a_title_and_a_description(html: str):
    drawn = re.findall(r'<svg class="plot".*?</svg>', html, flags=re.DOTALL)
    assert len(drawn) == 4
    for svg in drawn:
        assert 'role="img"' in svg
        assert re.search(r'aria-labelledby="(\w+)-title \1-desc"', svg)
        assert re.search(r"<title id=\"\w+-title\">[^<]{5,}</title><desc id=\"\w+-desc\">[^<]{20,}</desc>", svg)


def test_the_first_model_has_no_champion_to_be_compared_with():
    record = make_record(make_evidence(first=True))
    text = Page(render_decision(record, PROBLEM)).text
    assert "the first model" in text
    assert "There is no champion yet." in text
    assert "against the rule of thumb" in text
    assert not re.search(r"version None|>None<|None USD", text)


def test_a_regression_is_told_without_frequencies_and_with_errors():
    html = render_decision(make_record(regression_evidence()), None)
    assert "How far off are the predictions?" in html
    assert "What that means for" not in html
    assert "Do predicted chances come true?" not in html


def test_a_decision_on_evidence_without_numbers_still_has_a_page():
    evidence = make_evidence()
    broken = np.full(len(evidence.y), np.nan)
    html = render_decision(make_record(change(evidence, CANDIDATE, measure=broken)), PROBLEM)
    assert "</svg>REJECT</span>" in html
    assert '<svg class="plot"' not in html
    assert re.search(r"\bnan\b|\bNone\b(?! of)", Page(html).text) is None


def test_a_comparison_whose_chance_is_unknown_is_not_drawn(held: dict[str, Any]):
    unknown = [row | {"low": None, "high": None} for row in held["comparisons"]]
    assert plots.intervals(unknown, amount=AMOUNT) == ""
    assert "against the champion" in plots.intervals(unknown[1:] + held["comparisons"][:1], amount=AMOUNT)


def test_the_same_rows_draw_the_same_bytes(held: dict[str, Any], html: str):
    assert render_decision(held, PROBLEM) == html
    other = [row | {"saved_per_1000": row["saved_per_1000"] + 1} for row in held["comparisons"]]
    assert plots.intervals(held["comparisons"], amount=AMOUNT) != plots.intervals(other, amount=AMOUNT)


def test_plots_take_their_colours_and_font_from_the_page(held: dict[str, Any]):
    svg = plots.costs_over_time(held["plots"]["costs_over_time"], amount=AMOUNT)
    assert {"var(--candidate)", "var(--champion)", "var(--rule)"} <= set(re.findall(r"var\(--\w+\)", svg))
    assert re.findall(r": #0[1-9]", svg) == []
    assert "<style" not in svg
    assert set(re.findall(r"font-family: ([^;\"]+)", svg)) == {"inherit"}


def test_names_that_matplotlib_could_misread_are_drawn_as_they_are():
    rows = [
        {"column": "place", "value": value, "n": 200, "candidate": 10.0, "champion": 12.0} for value in ("$5 to $9$", "東京", "fill: #ab")
    ]
    text = Page(plots.slices(rows, amount=AMOUNT)).text
    assert all(row["value"] in text for row in rows)


def test_nothing_to_draw_draws_nothing():
    assert plots.intervals([], amount=AMOUNT) == ""
    assert plots.costs_over_time([], amount=AMOUNT) == ""
    assert plots.costs_over_time([{"cluster": "a", "n": 3, "candidate": 1.0}], amount=AMOUNT) == ""
    assert plots.slices([], amount=AMOUNT) == ""
    assert plots.calibration([]) == ""
    assert plots.residuals([]) == ""
    assert plots.costs_over_decisions([{"through": "2013-04-30", "verdict": "HOLD", "candidate": 1.0}], amount=AMOUNT) == ""


def test_many_slices_are_cut_to_the_largest():
    rows = [{"column": "dest", "value": f"D{i}", "n": 1000 - i, "candidate": 10.0, "champion": 12.0} for i in range(60)]
    text = Page(plots.slices(rows, amount=AMOUNT)).text
    assert "D0 (1,000)" in text
    assert "D59" not in text


def test_commands_are_set_as_code_and_the_overview_is_linked_when_there_is_one(held: dict[str, Any]):
    html = render_decision(held | {"override": 'Use `evergreen promote 7 --reason "..."`.'}, None, overview="../index.html")
    assert "<code>evergreen promote 7 --reason &#34;...&#34;</code>" in html
    assert '<a href="../index.html">' in html


def test_templates_and_styles_travel_in_the_wheel(tmp_path: Path):
    from hatchling.builders.wheel import WheelBuilder

    root = Path(__file__).parents[2]
    (wheel,) = WheelBuilder(str(root)).build(directory=str(tmp_path), versions=["standard"])
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if "/templates/" in name}
    there = {f"evergreen/report/templates/{path.name}" for path in (root / "src/evergreen/report/templates").iterdir()}
    assert packed == there
    assert "evergreen/report/templates/page.css" in packed


@pytest.mark.parametrize(
    ("sentence", "html"),
    [
        ("It saves -325 to 4 (-0.5 to -0.1).", "It saves \u2212325 to 4 (\u22120.5 to \u22120.1)."),
        ("From 2013-12-02 on, see `run -3 <file>` & so on.", "From 2013-12-02 on, see <code>run -3 &lt;file&gt;</code> &amp; so on."),
    ],
)
def test_a_sentence_has_a_minus_before_a_number_and_its_commands_stay_as_they_are(sentence: str, html: str):
    assert told(sentence) == html
