"""Deliveries through the flow: good ones are published, bad ones quarantined with a page, unfinished and strange ones left alone."""

import os
import shutil

from commands import Home
from file_names import needs_any_bytes


def outcomes_of(home: Home) -> dict[str, str]:
    """What the journal says last of each delivery."""
    return {f"{row['source']}/{row['name']}": row["outcome"] for row in home.rows("deliveries")}


def test_a_broken_delivery_waits_in_quarantine_until_a_corrected_one_comes(home: Home):
    home.deliver(30, ahead=0)
    landing = home.var / "landing"
    orders, half, strange = landing / "orders" / "orders-0000-0029.csv", landing / "stock" / "next.csv.part", landing / "gifts"
    whole = orders.read_bytes()
    orders.write_bytes(whole + whole.splitlines(keepends=True)[-1])
    half.write_bytes(b"product,obs")
    strange.mkdir()
    (strange / "gift.csv").write_text("a\n1\n")

    judged = home.evergreen("ingest")
    assert (judged.code, judged.err) == (1, "")  # something can never be judged where it lies
    assert outcomes_of(home)["orders/orders-0000-0029.csv"] == "quarantined"
    (cell,) = (home.var / "quarantine" / "orders").iterdir()
    assert f"see {(cell / 'index.html').relative_to(home.root)}" in judged.out
    page = (cell / "index.html").read_text()
    assert "orders-0000-0029.csv" in page
    assert "order_id" in page
    assert (cell / "delivered" / orders.name).read_bytes() == orders.read_bytes()
    said = " ".join(judged.out.split())
    assert "ingest 3 deliveries published" in said
    assert "quarantined: orders/orders-0000-0029.csv breaks 1 expectation" in said
    assert "waiting: stock/next.csv.part still being written" in said
    of_one = "the folder of one (orders, stock, customers, outcomes), or remove it"
    assert f"gifts belongs to no source of the contract: move what it holds into {of_one}" in said
    status = " ".join(home.evergreen("status").out.split())
    assert "quarantined: orders/orders-0000-0029.csv breaks 1 expectation" in status
    assert "waiting: stock/next.csv.part" in status
    assert half.read_bytes() == b"product,obs"
    assert not (home.var / "batches" / "orders").exists()

    again = home.evergreen("ingest")
    assert "Nothing is new" in again.out
    assert again.code == 1
    assert "gifts belongs to no source of the contract" in again.out

    shutil.rmtree(strange)
    assert home.evergreen("ingest").code == 0
    orders.write_bytes(whole)
    half.rename(landing / "stock" / "next.csv")
    (landing / "stock" / "next.csv").write_bytes(b"product,observed_at,stock_level\nbook,2026-02-04T06:00:00Z,99\n")
    mended = " ".join(home.evergreen("ingest").out.split())
    assert "ingest 2 deliveries published" in mended
    assert set(outcomes_of(home).values()) == {"published"}
    assert (cell / "index.html").exists()


def test_a_rule_that_was_wrong_is_mended_and_the_delivery_judged_anew(home: Home):
    home.deliver(30, ahead=0)
    suite = home.root / "expectations" / "stock.json"
    right = suite.read_text()
    suite.write_text(
        '{"name": "stock", "expectations": [{"type": "expect_column_values_to_be_between", "severity": "critical", '
        '"kwargs": {"column": "stock_level", "max_value": 150}}]}'
    )
    refused = home.evergreen("ingest")
    assert "quarantined: stock/stock-0000-0029.csv" in refused.out
    suite.write_text(right)
    assert "1 delivery published" in home.evergreen("ingest").out
    assert outcomes_of(home)["stock/stock-0000-0029.csv"] == "published"


STRICTLY = """
import logging
from evergreen.status import look_at_landing
from evergreen.workspace import open_workspace
from flows import account
from flows.ingestion import ingest
from flows.news import tell_deliveries

class Pages(logging.Handler):
    def emit(self, record):
        record.getMessage().encode()

    def handleError(self, record):
        raise

logging.getLogger(account.LOG).addHandler(Pages())
space = open_workspace()
tell_deliveries(space, ingest())
account.tell_leftovers(look_at_landing(space)[0], space.problem)
"""


@needs_any_bytes
def test_a_file_whose_name_cannot_be_shown_is_told_and_the_others_are_judged(home: Home):
    home.deliver(30, ahead=0)
    landing = home.var / "landing"
    for name in (b"gr\xfcn.csv", b"gr\xfcn.csv.part", b"two\nlines.csv", b"\x1b[31mred.csv", b"a\\b.csv"):
        shutil.copy(landing / "stock" / "stock-0000-0029.csv", landing / "stock" / os.fsdecode(name))
    (landing / os.fsdecode(b"gift\xe9")).mkdir()
    told = home.python(STRICTLY, PYTHONIOENCODING="utf-8:strict", COLUMNS="300")
    assert (told.code, told.err) == (0, ""), told.err
    for line in (
        r"unreadable: stock/gr\xfcn.csv has a name with a sign that cannot be shown: deliver it under another one",
        r"unreadable: stock/two\nlines.csv has a name",
        r"unreadable: stock/\x1b[31mred.csv has a name",
        r"waiting: stock/gr\xfcn.csv.part is still being written",
        r"unreadable: landing/gift\xe9 belongs to no source of the contract",
    ):
        assert line in told.out
    assert "\x1b" not in told.out
    assert "duplicate: stock/stock-0000-0029.csv has the same content as a\\b.csv" in told.out
    assert len(outcomes_of(home)) == 5
    assert "published" in outcomes_of(home)[r"stock/a\b.csv"]
