"""The card of a version: what it shows, when it is written again, and what it says of a version that nobody should trust."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from workspaces import changed, deliver_days, ingest, keep, kept, open_space, train

from deploy.page_rules import faults_of
from evergreen import journal as tables
from evergreen import portrait, revocations
from evergreen.control import refresh_site
from evergreen.moves import standing
from evergreen.report.model_card import card_page, cards_of, render_card, write_cards
from evergreen.workspace import Workspace

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose version 1 was promoted and serves."""
    space = open_space(tmp_path_factory.mktemp("cards") / "home")
    deliver_days(space, 85)
    ingest(space)
    assert train(space)["verdict"] == "promote"
    return keep(space)


@pytest.fixture
def space(home: Path) -> Iterator[Workspace]:
    with kept(home) as space:
        yield space


def card_of(space: Workspace, version: int = 1) -> dict[str, Any]:
    return next(card for card in cards_of(space.journal, space.problem, NOW) if card["version"] == version)


def text_of(page: str) -> str:
    """What a person reads, without markup and the plots."""
    page = re.sub(r"<(style|svg).*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def words_of(space: Workspace) -> list[str]:
    return [one["word"] for one in card_of(space)["statuses"]]


class Outline(HTMLParser):
    """The headings, links and tables of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.levels: list[int] = []
        self.links: list[str] = []
        self.regions: list[str] = []
        self.unnamed = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag in {"h1", "h2", "h3"}:
            self.levels.append(int(tag[1]))
        if tag == "a":
            self.links.append(told["href"] or "")
        if told.get("role") == "region":
            self.regions.append(told["aria-label"] or "")
        if tag == "th" and "scope" not in told:
            self.unnamed += 1


def test_a_card_tells_purpose_data_performance_importances_limits_and_origin(space: Workspace):
    refresh_site(space, [])
    text = text_of((space.settings.site / card_page(1)).read_text())
    facts = space.journal.rows(tables.versions)[0]["facts"]
    assert "What is done with the answer: Those orders are called back before they are sent." in text
    assert "Not for an answer earlier than 1 hour before the order" in text
    assert f"{facts['rows']:,} orders, from 2026-01-05 to" in text
    assert "orders 1 " in text
    assert "It says yes from a probability of 33.3% on" in text
    assert "region" in text
    assert "Nothing is known: none of its predictions in service has an outcome yet." in text
    for name in ("contract", "code", "lock", "snapshot"):
        assert f"{name} {facts['provenance'][name]}" in text
    # Ranges, importances and what training has seen come from what was measured, number by number.
    told = portrait.newest(space.journal, 1)
    first = told["importances"][0]
    assert f"{first['feature']} {first['cost']['estimate']:,.0f} {first['cost']['low']:,.0f} to {first['cost']['high']:,.0f}" in text
    assert f"Cost {told['cost']['estimate']:,.0f} {told['cost']['low']:,.0f} to {told['cost']['high']:,.0f}" in text
    assert "amount integer 1 to 59" in text


def test_a_card_is_one_file_that_can_be_read_aloud_and_whose_links_lead_somewhere(space: Workspace):
    refresh_site(space, [])
    file = space.settings.site / card_page(1)
    page = file.read_text()
    outline = Outline(page)
    assert outline.levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(outline.levels, outline.levels[1:], strict=False))
    assert outline.unnamed == 0
    assert len(set(outline.regions)) == len(outline.regions)
    assert '<svg class="plot" role="img" aria-labelledby="importances-title importances-desc"' in page
    for link in outline.links:
        assert (file.parent / link).exists(), link
    assert f"../decisions/{space.journal.last(tables.decisions)['decision']}.html" in outline.links
    assert "://" not in re.sub(r'xmlns(:xlink)?="[^"]+"', "", page).replace("over HTTP", "")


def test_a_card_keeps_the_rules_of_every_page(space: Workspace):
    assert faults_of(render_card(card_of(space))) == []


def test_a_card_is_written_once_and_again_only_when_something_it_shows_has_changed(space: Workspace):
    folder = space.settings.site
    assert [page.name for page in write_cards(folder, [card_of(space)])] == ["1.html"]
    assert write_cards(folder, cards_of(space.journal, space.problem, datetime(2027, 1, 1, tzinfo=UTC))) == []
    batch = space.journal.rows(tables.deliveries, source="orders")[0]["batch"]
    revocations.revoke(space.journal, batch, root=space.settings.root, words={"reason": "wrong unit", "person": "Ada"})
    assert [page.name for page in write_cards(folder, [card_of(space)])] == ["1.html"]
    text = text_of((folder / card_page(1)).read_text())
    assert f"{batch[:12]} was taken back by Ada on" in text
    assert "TAKEN BACK It has learnt from batch" in text
    assert write_cards(folder, [card_of(space)]) == []
    assert len(write_cards(folder, [card_of(space)], anew=True)) == 1


def test_a_card_whose_record_is_torn_is_written_again(space: Workspace):
    folder = space.settings.site
    page = write_cards(folder, [card_of(space)])[0]
    page.with_suffix(".json").write_text('{"version"')
    assert write_cards(folder, [card_of(space)]) == [page]
    assert json.loads(page.with_suffix(".json").read_text()) == card_of(space)


def test_a_version_says_first_what_matters_most_of_where_it_stands(space: Workspace):
    assert words_of(space) == ["champion", "promoted"]
    moved = {"kind": "promotion", "reason": "r", "person": "gate", "anchor": 1, "champion": 1, "version": 2}
    space.journal.add(tables.promotions, promotion="next", state="done", **moved)
    assert standing(space.journal).previous == 1
    assert words_of(space) == ["previous", "anchor", "promoted"]
    space.journal.add(tables.bars, event="e", reason="it cost us", person="Ada", version=1, barred=True)
    space.journal.add(tables.removals, removal="m", kind="model", name="1", reason="old")
    told = card_of(space)["statuses"]
    assert [one["word"] for one in told] == ["previous", "anchor", "barred", "removed", "promoted"]
    assert told[2]["tone"] == "bad"
    assert "it cost us." in told[2]["sentence"]
    space.journal.add(tables.bars, event="f", reason="mended", person="Ada", version=1, barred=False)
    assert "barred" not in words_of(space)


def test_a_refused_version_that_somebody_lets_serve_is_called_overruled(space: Workspace):
    decision = space.journal.last(tables.decisions)["decision"]
    moved = {"kind": "override", "reason": "r", "person": "Ada", "anchor": 1, "champion": 1, "version": 1}
    space.journal.add(tables.promotions, promotion="forced", state="done", **moved)
    word = {"decision": decision, "verdict": "reject", "reason": "we must", "person": "Ada", "expires": "2026-07-01T00:00:00+00:00"}
    space.journal.add(tables.overrides, override="o", promotion="forced", version=1, checks=["champion"], **word)
    first = card_of(space)["statuses"][0]
    assert (first["tone"], first["word"]) == ("hold", "champion, overruled")
    assert "Ada lets it serve through 2026-06-30" in first["sentence"]
    space.journal.add(tables.promotions, promotion="back", state="done", **moved | {"version": 2})
    assert "was overruled" in words_of(space)


def test_a_version_of_before_it_was_measured_says_so_and_shows_the_costs_without_ranges(space: Workspace, monkeypatch):
    rows = space.journal.rows
    monkeypatch.setattr(space.journal, "rows", lambda table, **where: [] if where.get("kind") == portrait.KIND else rows(table, **where))
    card = card_of(space)
    text = text_of(render_card(card))
    assert "It was not measured: the version was registered before this was done." in text
    assert "There are no ranges: it was judged before intervals were kept for the card." in text
    assert {one["slice"] for one in card["performance"]["slices"]} == {"region"}
    assert '<svg class="plot"' not in render_card(card)


def test_a_version_that_was_never_judged_claims_nothing(space: Workspace, monkeypatch):
    rows = space.journal.rows
    monkeypatch.setattr(space.journal, "rows", lambda table, **where: [] if table is tables.decisions else rows(table, **where))
    card = card_of(space)
    assert [one["word"] for one in card["statuses"]] == ["champion", "not judged"]
    assert "Everything: the gate has not judged it yet." in text_of(render_card(card))


def test_what_the_gate_warned_of_stands_among_the_limits(space: Workspace, monkeypatch):
    rows = space.journal.rows

    def held(table: Any, **where: Any) -> list[dict[str, Any]]:
        found = rows(table, **where)
        if table is tables.decisions:
            findings = [one | {"outcome": "hold"} if one["check"] == "size" else one for one in found[0]["record"]["findings"]]
            found[0]["record"] |= {"verdict": "hold", "findings": findings}
        return found

    assert card_of(space)["limits"]["warned"] == []
    monkeypatch.setattr(space.journal, "rows", held)
    card = card_of(space)
    assert [one["check"] for one in card["limits"]["warned"]] == ["size"]
    assert card["statuses"][-1]["word"] == "held"


def test_a_changed_contract_is_told(space: Workspace):
    assert not card_of(space)["restated"]
    later = Workspace(space.settings, changed(space.problem, things="parcels"), space.journal)
    assert "The contract has changed since this version was trained." in text_of(render_card(card_of(later)))


def test_words_from_outside_are_shown_as_text(space: Workspace):
    space.journal.add(tables.bars, event="e", reason="<script>alert(1)</script>", person="<b>Ada</b>", version=1, barred=True)
    page = render_card(card_of(space))
    assert "<script>alert" not in page
    assert "<b>Ada" not in page
    assert "&lt;script&gt;" in page
