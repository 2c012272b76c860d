"""`evergreen backtest`: a table, a sentence, a page; and a mistake is a sentence."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from commands import Home, make_home, told

DAYS = 110


@pytest.fixture(scope="module")
def ingested(_server: None, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Deliveries that have been judged."""
    home = make_home(tmp_path_factory.mktemp("ingested"))
    home.deliver(DAYS, ahead=0)
    assert home.evergreen("ingest").code == 0
    return home


def test_it_tells_a_table_the_answer_and_where_the_page_is(ingested: Home):
    ended = ingested.evergreen("backtest", "--policies", "monthly, always")
    assert ended.code == 0, ended.err
    rows = {line.split()[0]: line for line in ended.out.splitlines() if line}
    assert {"never", "monthly", "always", "contract", "rule", "no"} <= set(rows)
    assert "worth it here" in ended.out
    page = ingested.var / "site" / "backtest.html"
    assert str(page) in ended.out.replace("\n", "")
    document = json.loads(page.with_suffix(".json").read_text())
    for one in document["policies"]:
        assert f"{one['cost_per_1000']:,.0f}" in rows[one["name"]]
        assert f"{one['cost_per_1000']:,.0f}" in page.read_text()
    room = (page.parent / "index.html").read_text()
    assert document["answer"][0] in room
    assert "The contract&#39;s policy" in room


def test_that_the_control_room_cannot_be_written_is_told_and_spoils_no_document(ingested: Home, tmp_path: Path):
    shutil.copytree(ingested.root, tmp_path / "copy")
    copy = dataclasses.replace(ingested, root=tmp_path / "copy")
    shutil.rmtree(copy.var / "site", ignore_errors=True)
    (copy.var / "site" / "index.html").mkdir(parents=True)
    ended = copy.evergreen("backtest", "--policies", "never", "--from", "2026-03-10", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["answer"]
    assert "The control room does not show it yet: " in ended.err


def test_as_json_it_is_the_document_alone_and_the_same_again(ingested: Home):
    words = ("backtest", "--policies", "never", "--from", "2026-03-10", "--seed", "3", "--json")
    first, second = ingested.evergreen(*words), ingested.evergreen(*words)
    document = json.loads(first.out)
    assert first.out == second.out
    assert document["period"]["first"] == "2026-03-10T00:00:00+00:00"
    assert document["seed"] == 3
    assert [one["name"] for one in document["policies"]] == ["never", "contract"]


def test_mistakes_are_sentences(ingested: Home, home: Home):
    told(home.evergreen("backtest"), "Nothing has been published yet of orders")
    told(ingested.evergreen("backtest", "--policies", "hourly"), "There is no retraining policy 'hourly'; there are: never, weekly")
    told(ingested.evergreen("backtest", "--from", "2026-04-20"), "one window", "expected two at least")
    told(ingested.evergreen("backtest", "--through", "2019"), "Got '2019' as a date")
    told(ingested.evergreen("backtest", "--through", "2019-12"), "outcomes are known from 2026-01-05")
