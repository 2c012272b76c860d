"""Every kind of page, by the rules that all pages keep; each rule has a planted fault that it finds."""

import re
from itertools import product
from pathlib import Path

import page_kinds
import pytest

from deploy.page_rules import RULES, faults_of
from evergreen.report import drawing, quarantine

CSS = (Path(drawing.__file__).parent / "templates" / "page.css").read_text()
ENOUGH = 4.5
"""What WCAG 2 asks for between text and what is behind it (level AA)."""
ON_PAPER = ("--page", "--surface")
WRITTEN = [
    *product(("--ink", "--muted", "--link", "--good", "--hold", "--bad"), ON_PAPER),
    ("--good", "--good-soft"),
    ("--hold", "--hold-soft"),
    ("--bad", "--bad-soft"),
    *product(("--ink", "--link", "--muted"), ("--hold-soft", "--bad-soft")),
]
"""Colours of text, each with what may be behind it."""
KINDS = (
    *("decision, first", "decision, promoted", "decision, overruled", "decision, a number"),
    *("control room", "control room, empty", "quarantine", "quarantine, on the site", "backtest"),
)
FAULTS = {
    "an element without end": ("nested", "</main>", "<div></main>"),
    "a list in a paragraph": ("nested", "</main>", "<p><ul><li>x</li></ul></p></main>"),
    "a cell outside a row": ("nested", "<tbody>", "<tbody><td>x</td>"),
    "an end of nothing": ("nested", "</main>", "</span></main>"),
    "a form that HTML does not know": ("nested", "</main>", "<div/></main>"),
    "an id twice": ("unique", "</main>", '<p id="now">x</p></main>'),
    "a link to no place": ("resolved", 'href="#now"', 'href="#nowhere"'),
    "a name that is not there": ("resolved", "</main>", '<p aria-labelledby="nowhere">x</p></main>'),
    "a label for nothing": ("resolved", "</main>", '<label for="nowhere">x</label></main>'),
    "a level left out": ("ordered", "<h2>What happens next</h2>", "<h4>What happens next</h4>"),
    "two first headings": ("ordered", "</main>", "<h1>x</h1></main>"),
    "a link without words": ("told", "</main>", '<a href="#now"></a></main>'),
    "a picture without words": ("told", "</main>", '<img src="data:,"></main>'),
    "a field without label": ("told", "</main>", "<input></main>"),
    "a page without language": ("told", ' lang="en"', ""),
    "a page without title": ("told", "<title>toy: control room</title>", "<title></title>"),
    "a header for nothing": ("tabled", '<th scope="col">', "<th>"),
    "a table without name": ("tabled", "</main>", '<table><tr><th scope="row">x</th></tr></table></main>'),
    "a table without headers": ("tabled", "</main>", '<table aria-label="x"><tr><td>x</td></tr></table></main>'),
    "a plot that says nothing": ("drawn", '<svg class="plot" role="img"', '<svg class="plot"'),
    "a sign that is read out": ("drawn", ' aria-hidden="true"><path', "><path"),
    "a frame that the keyboard misses": ("reachable", 'class="scroll" tabindex="0"', 'class="scroll"'),
    "a script from elsewhere": ("closed", "</main>", '<script src="https://example.org/x.js"></script></main>'),
    "a picture from elsewhere": ("closed", "</main>", '<img alt="" src="//example.org/x.png"></main>'),
    "a font from elsewhere": ("closed", "<style>", "<style>@import 'https://example.org/x.css';"),
    "a handler": ("closed", "<main>", '<main onclick="x()">'),
    "a link that runs something": ("closed", 'href="#now"', 'href="javascript:x()"'),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return page_kinds.kinds(tmp_path_factory.mktemp("pages"))


def test_these_are_all_the_kinds_of_pages(pages: dict[str, str]):
    assert tuple(pages) == KINDS
    used = {path.name for path in Path(drawing.__file__).parent.rglob("*.html.j2") if "base.html.j2" in path.read_text()}
    elsewhere = {"model_card.html.j2", "refused.html.j2"}  # test_model_card.py and a test below hold them to the same rules
    assert used == {"decision.html.j2", "overview.html.j2", "quarantine.html.j2", "backtest.html.j2"} | elsewhere


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_keeps_every_rule(pages: dict[str, str], kind: str):
    assert faults_of(pages[kind]) == []


def test_the_pages_show_what_the_rules_are_about(pages: dict[str, str]):
    full = pages["control room"]
    assert (full.count("<table"), full.count('<svg class="plot"')) == (8, 4)
    assert "Against the last accepted delivery" in pages["quarantine"]
    assert "Overruled by Ada" in pages["decision, overruled"]


@pytest.mark.parametrize("fault", list(FAULTS))
def test_a_planted_fault_is_found_by_its_rule(pages: dict[str, str], fault: str):
    rule, whole, broken = FAULTS[fault]
    page = pages["control room"]
    assert whole in page
    found = faults_of(page.replace(whole, broken, 1))
    assert [line.partition(":")[0] for line in found if line.startswith(f"{rule}:")] != [], found
    assert {line.partition(":")[0] for line in found} == {rule}


def test_every_rule_has_a_planted_fault():
    assert {rule for rule, *_ in FAULTS.values()} == {rule.__name__ for rule in RULES}


def test_pages_allow_nothing_to_run_whatever_is_written_into_them(pages: dict[str, str]):
    for page in pages.values():
        policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
        assert policy is not None
        assert policy[1].split("; ")[0] == "default-src 'none'"
        assert "script" not in policy[1]


def test_a_refused_delivery_of_an_earlier_version_leads_nowhere_from_the_site(pages: dict[str, str]):
    earlier = pages["quarantine"].replace(quarantine.MARKED, "")
    row = {"source": "orders", "name": "a.csv", "delivery": "ab" * 32, "at": "2026-06-01T03:00:00+00:00"}
    on_the_site = quarantine.on_the_site(earlier, row | {"reason": "cannot be read: ValueError: not 'Ada'"})
    assert re.findall(r'<a href="([^"]*)"', on_the_site) == ["../index.html"]
    assert "orders/a.csv was refused" in on_the_site
    assert "The delivery cannot be read." in on_the_site
    assert "Ada" not in on_the_site
    assert f"<code>quarantine/orders/{'ab' * 8}/index.html</code>" in on_the_site
    assert faults_of(on_the_site) == []


def colours(theme: str) -> dict[str, str]:
    """The variables of a theme: those of the dark one replace some of the light one's."""
    light, _, rest = CSS.partition("@media (prefers-color-scheme: dark)")
    blocks = light + (rest.partition("}\n}")[0] if theme == "dark" else "")
    return dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", blocks))


def luminance(colour: str) -> float:
    """As WCAG 2 defines it."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_on_whatever_is_behind_it(theme: str):
    known = colours(theme)
    too_weak = {pair: ratio for pair in WRITTEN if (ratio := round(contrast(known[pair[0]], known[pair[1]]), 2)) < ENOUGH}
    assert too_weak == {}


def test_the_themes_differ_and_contrast_is_what_the_standard_says():
    assert colours("light").keys() == colours("dark").keys()
    assert colours("light")["--ink"] != colours("dark")["--ink"]
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the usual example of what is just too weak


def test_text_has_no_colour_but_those_that_were_compared():
    written = set(re.findall(r"(?<![\w-])color: ([^;}]+)", CSS)) - {"inherit"}
    assert {f"var({ink})" for ink, _ in WRITTEN} == written
