"""Deliveries through the flow: good ones are published, bad ones quarantined with a page, unfinished and strange ones left alone."""

import shutil

from commands import Home


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
    assert "gifts belongs to no source of the contract; move it into the folder of one: orders, stock, customers, outcomes" in said
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
    assert "1 deliveries published" in home.evergreen("ingest").out
    assert outcomes_of(home)["stock/stock-0000-0029.csv"] == "published"
