"""`evergreen expectations`: a draft for a person to review, and what the present suite would refuse of what was accepted."""

import json

from commands import Home, told


def test_a_draft_is_told_written_and_put_in_place_by_a_person(home: Home):
    told(home.evergreen("expectations", "propose", "orders"), "Nothing of orders has been accepted yet")
    told(home.evergreen("expectations", "propose", "order"), "Got the source 'order'; the contract has orders, stock, customers, outcomes")
    home.deliver()
    assert home.evergreen("ingest").code == 0
    ended = home.evergreen("expectations", "propose", "orders")
    assert (ended.code, ended.err) == (0, "")
    assert "none of these breaks any" in ended.out
    assert "New (" in ended.out
    assert "Only in yours (1)\n  the number of rows lies at or above 1 (critical)" in ended.out
    assert not (home.var / "proposals").exists()
    draft = home.evergreen("expectations", "propose", "orders", "--json").out
    assert json.loads(draft)["name"] == "orders"
    written = home.evergreen("expectations", "propose", "orders", "--write").out
    path = home.var / "proposals" / "orders.json"
    assert f"cp {path} " in written
    assert path.read_text() == draft
    suite = home.root / "expectations" / "orders.json"
    assert suite.read_text() != draft
    suite.write_text(draft)
    checked = home.evergreen("expectations", "check", "orders").out
    assert "expectations are met by all" in checked
    assert "broken by" not in checked
    strict = {"type": "expect_column_max_to_be_between", "kwargs": {"column": "amount", "max_value": 5}, "severity": "critical"}
    suite.write_text(json.dumps({"name": "orders", "expectations": [strict]}))
    checked = home.evergreen("expectations", "check", "orders").out
    assert "the largest of `amount` lies at or below 5" in checked
    assert "broken by" in checked
