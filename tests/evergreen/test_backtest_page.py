"""The page of a backtest: what it says, and that everybody can read it."""

import re
from typing import Any

import pytest
from told_backtests import planted_backtest

from evergreen.backtest import sentences
from evergreen.report.backtest import grouped, render_backtest


@pytest.fixture
def told() -> dict[str, Any]:
    return planted_backtest()


def test_the_answer_says_whether_and_how_often(told: dict[str, Any]):
    first, *more = sentences.answer(told)
    assert first == "Retraining is worth it here: monthly, with 3 trainings, is surely cheaper than training once."
    assert more[0].startswith(
        "The cheapest is monthly: with 3 trainings it saves 200 EUR per 1,000 orders against training once (surely better"
    )
    assert "What the contract says saves 100 EUR per 1,000 orders against training in every window without the gate" in " ".join(more)
    less = told | {"finding": {"is_worth_it": True, "cheapest": "monthly", "least": "contract"}}
    assert sentences.answer(less)[0].endswith("is surely cheaper than training once, and monthly is not surely cheaper than that.")
    none = told | {"finding": {"is_worth_it": False, "cheapest": "never", "least": "never"}}
    assert sentences.answer(none)[0].startswith("Nothing shows that retraining behind the gate is worth it here")
    assert not any("The cheapest" in sentence for sentence in sentences.answer(none))


def test_every_number_of_the_plot_stands_in_a_table_and_in_its_description(told: dict[str, Any]):
    page = render_backtest(told)
    table = page[page.index('aria-label="Cost in each window"') :]
    described = re.search(r'<desc id="windows-desc">(.*?)</desc>', page)
    assert described
    for window in told["windows"]:
        for name, cost in window["costs"].items():
            assert f"{cost:,.0f}" in table
            assert f"{cost:,.0f}" in described[1] or name == "no model"
    assert '<title id="windows-title">Cost in each window, by policy</title>' in page


def test_policies_that_decided_alike_share_a_line(told: dict[str, Any]):
    assert grouped(told) == [["never"], ["monthly", "contract"], ["always"]]
    told["windows"][1]["costs"]["contract"] += 1
    assert grouped(told) == [["never"], ["monthly"], ["always"], ["contract"]]


def test_what_is_sure_is_coloured_and_also_said(told: dict[str, Any]):
    page = render_backtest(told)
    rows = dict(re.findall(r'<th scope="row">([\w ]+)[^<]*</th>(.*?)</tr>', page, flags=re.DOTALL))
    assert "good-text" in rows["monthly"]
    assert "surely better" in rows["monthly"]
    assert "text" not in rows["always"].split("cannot be told apart")[0]
    assert "bad-text" in rows["rule of thumb"]


def test_the_page_tells_what_is_taken_for_granted_and_escapes_what_comes_from_outside(told: dict[str, Any]):
    page = render_backtest(told)
    assert "<li>Nothing is late.</li>" in page
    assert "<code>come</code>" in page
    assert "toy &lt;b&gt;" in page
    assert "put in place all the same" in page  # the first model, that the gate would have held


def test_nothing_is_drawn_in_a_fixed_colour(told: dict[str, Any]):
    drawn = re.search(r'<svg class="plot".*?</svg>', render_backtest(told), flags=re.DOTALL)
    assert drawn
    assert not re.search(r"#0[0-9a-f]{5}", drawn[0])
    assert "var(--candidate)" in drawn[0]
