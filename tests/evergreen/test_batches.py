import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import deliveries as d
import pandas as pd
import pytest
from deliveries import GAUGE, NOW, House, rows

from evergreen import journal
from evergreen import policies as p
from evergreen.data import batches, landing
from evergreen.errors import ContractError, DataError, StoreError
from evergreen.quoting import revealed
from evergreen.validation import rules_of

DIES_AT_THE_JOURNAL = """
import os, pathlib, sys
from deliveries import House
house = House(pathlib.Path(sys.argv[1]))
house.journal.add_all = lambda *_, **__: os._exit(9)
house.ingest()
"""


@pytest.fixture
def house(tmp_path: Path):
    house = House(tmp_path)
    yield house
    house.journal.close()


def told(house: House) -> list[dict]:
    return house.journal.rows(journal.deliveries)


def test_a_good_delivery_is_published_with_what_the_journal_needs(house: House):
    house.deliver("a.csv", rows(3, 1, 2))
    (judged,) = house.ingest()
    assert (judged.outcome, judged.rows, judged.reason, judged.warnings, judged.page) == ("published", 3, "", (), None)
    (row,) = told(house)
    assert (row["newest"], row["row_count"], row["after"]) == ("2026-02-01T02:00:00+00:00", 3, 0)
    frame = batches.load(house.root, "gauge", row["batch"])
    assert frame.dtypes.astype(str).to_dict() == {"reading": "str", "at": "datetime64[us, UTC]", "level": "float64"}


def test_a_delivery_is_held_against_the_suite_that_its_source_names(house: House):
    source = p.Source(**{**dict(GAUGE), "suite": "water"})
    house.suite.unlink()
    d.write_suite(house.intake.expectations / "water.json", *d.RULES)
    house.deliver("a.csv", rows(1, 2))
    house.deliver("b.csv", rows(1, 200))
    problem = d.PROBLEM.model_copy(update={"sources": (source,)})
    assert set(rules_of(problem, house.intake.expectations)) == {"gauge"}
    found = landing.find(house.root / "landing", problem, settle_seconds=0, now=NOW).ready
    good, bad = (batches.ingest_one(delivery, source, intake=house.intake, now=NOW) for delivery in found)
    assert (good.outcome, bad.outcome) == ("published", "quarantined")
    assert "change <code>expectations/water.json</code>" in bad.page.read_text()


def test_the_same_file_is_judged_once(house: House):
    house.deliver("a.csv", rows(1, 2))
    (delivery,) = house.look()
    first = batches.ingest_one(delivery, GAUGE, intake=house.intake, now=NOW)
    assert batches.ingest_one(delivery, GAUGE, intake=house.intake, now=NOW) == first
    assert house.ingest() == []
    assert len(told(house)) == 1


def test_rows_in_another_order_make_the_same_batch(house: House):
    header, *lines = rows(1, 2, 3).splitlines(keepends=True)
    house.deliver("a.csv", rows(1, 2, 3))
    house.deliver("b.csv", header + "".join(reversed(lines)))
    house.ingest()
    assert len({row["batch"] for row in told(house)}) == 1


def test_a_renamed_copy_is_a_duplicate_and_names_the_first(house: House):
    house.deliver("a.csv", rows(1, 2))
    house.deliver("copy.csv", rows(1, 2))
    assert [(j.outcome, j.reason) for j in house.ingest()] == [("published", ""), ("duplicate", "has the same content as a.csv")]
    assert house.levels() == [[1, 2]]
    assert house.look() == []


def test_a_correction_supersedes_and_a_bad_correction_does_not(house: House):
    house.deliver("a.csv", rows(1, 2))
    house.ingest()
    house.deliver("a.csv", rows(5, 6))
    house.ingest()
    assert house.levels() == [[5, 6]]
    house.deliver("a.csv", rows(5, -6))
    assert [judged.outcome for judged in house.ingest()] == ["quarantined"]
    assert house.levels() == [[5, 6]]


def test_a_file_that_changes_back_is_a_delivery_of_its_own(house: House):
    for levels in ((1, 2), (3, 4), (1, 2)):
        house.deliver("a.csv", rows(*levels))
        assert [judged.outcome for judged in house.ingest()] == ["published"]
        assert house.levels() == [list(levels)]
    assert [row["after"] for row in told(house)] == [0, 1, 2]


def test_the_order_of_arrival_does_not_change_what_counts(tmp_path: Path):
    contents = {f"{day}.csv": rows(day, day + 1, day=day) for day in (1, 2, 3)}
    kept = []
    for number, names in enumerate([sorted(contents), sorted(contents, reverse=True)]):
        house = House(tmp_path / str(number))
        for name in names:
            house.deliver(name, contents[name])
            house.ingest()
        kept.append({row["name"]: row["batch"] for row in batches.active(house.journal, "gauge")})
        house.journal.close()
    assert kept[0] == kept[1]
    assert len(kept[0]) == 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty: it has no bytes"),
        (d.HEADER, "is empty: it has no rows"),
        (rows(1, 2)[:-5], "is cut off: the last line has no end"),
        ("reading,at\n" + rows(1, 2), "cannot be read: "),
        (b"\xff\xfe\x00broken\n", "cannot be read: "),
        (rows(1, 2).replace("reading", "id"), "lacks `reading`, which names its rows; it has the columns `id`, `at`, `level`"),
        (rows(1, 2).replace("at,", "when,"), "lacks `at`, which names its rows"),
        (rows(1, 2).replace("Z,", ","), "has no time zone in `at`: got datetime64[us]"),
        (rows(1, 2) + "x,,3\n", "lacks `at` in 1 of 3 rows"),
        (rows(1, 2) + rows(1, 2).split("\n", 1)[1], "breaks 2 expectations: every row has its own `reading`: not so for 4"),
        (rows(1), "breaks 1 expectation: it has between 2 and 50 rows: it is 1"),
        (rows(1, 101), "breaks 1 expectation: `level` lies between 0 and 100: not so for 1 (50.00%), for instance 101"),
        (rows("", ""), "breaks 1 expectation: `level` is never missing: not so for 2"),
    ],
)
def test_an_unusable_delivery_is_quarantined_with_the_reason(house: House, content: str | bytes, reason: str):
    path = house.deliver("a.csv", content)
    (judged,) = house.ingest()
    assert judged.outcome == "quarantined"
    assert reason in judged.reason
    assert house.levels() == []
    cell = judged.page.parent
    assert (cell / "delivered" / "a.csv").read_bytes() == path.read_bytes()
    record = json.loads((cell / "reason.json").read_text())
    assert (record["reason"], record["at"]) == (judged.reason, NOW.isoformat())
    assert house.look() == []


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (
            "2026-03-28T23:00:00+01:00",
            "2026-03-29T23:00:00+02:00",
            "has times with different offsets in `at` (+01:00, +02:00): have the reader",
        ),
        ("2026-03-28 23:00:00.5+0100", "2026-03-29 23:00:00Z", "has times with different offsets in `at` (+0100, Z): have the reader"),
        ("2026-03-28T23:00:00+01:00", "soon", "has no time zone in `at`: got str"),
        ("2026-03-28", "2026-03-29", "has no time zone in `at`: got datetime64[us]"),
    ],
)
def test_local_times_over_the_change_of_the_clocks_are_not_told_to_have_no_zone(house: House, first: str, second: str, reason: str):
    house.deliver("a.csv", f"{d.HEADER}r1,{first},1\nr2,{second},2\n")
    source = GAUGE.model_copy(update={"read": partial(pd.read_csv, parse_dates=["at"])})
    (delivery,) = house.look()
    judged = batches.ingest_one(delivery, source, intake=house.intake, now=NOW)
    assert (judged.outcome, judged.reason.startswith(reason)) == ("quarantined", True), judged.reason


def test_with_another_argument_of_its_reader_a_refused_delivery_is_judged_anew_and_an_accepted_one_is_not(house: House):
    def look(read: partial[pd.DataFrame]) -> list[str]:
        source = GAUGE.model_copy(update={"read": read})
        rules = rules_of(d.PROBLEM.model_copy(update={"sources": (source,)}), house.suite.parent)
        found = landing.find(house.root / "landing", d.PROBLEM, settle_seconds=0, now=NOW)
        ready = landing.unjudged(found, landing.known(house.journal), rules, root=house.root)
        return [batches.ingest_one(delivery, source, intake=house.intake, now=NOW).outcome for delivery in ready]

    comma = partial(pd.read_csv, parse_dates=["at"], sep=",")
    house.deliver("good.csv", rows(1, 2))
    house.deliver("semicolons.csv", rows(3, 4, day=2).replace(",", ";"))
    assert look(comma) == ["published", "quarantined"]
    assert look(comma) == []
    assert look(partial(comma, sep=";")) == ["published"]


def test_a_parquet_file_without_its_end_is_quarantined(house: House):
    frame = d.read_gauge(house.deliver("a.csv", rows(1, 2)))
    (house.root / "landing" / "gauge" / "a.csv").unlink()
    house.deliver("a.parquet", batches.parquet_bytes(frame)[:-20])
    source = GAUGE.model_copy(update={"read": pd.read_parquet})
    (delivery,) = house.look()
    judged = batches.ingest_one(delivery, source, intake=house.intake, now=NOW)
    assert judged.outcome == "quarantined"
    assert "cannot be read: ArrowInvalid" in judged.reason


def test_duplicate_keys_are_refused_even_by_a_suite_that_forgets_them(house: House):
    d.write_suite(house.suite, d.expectation("column_to_exist", column="level"))
    house.deliver("a.csv", rows(1, 2) + rows(3, 4).split("\n", 1)[1])
    (judged,) = house.ingest()
    assert judged.outcome == "quarantined"
    assert "every row has its own `reading`" in judged.reason


def test_a_warning_is_reported_and_refuses_nothing(house: House):
    house.deliver("a.csv", rows(90, 92))
    (judged,) = house.ingest()
    assert (judged.outcome, judged.warnings) == ("published", ("the mean of `level` lies between 0 and 50: it is 91",))
    assert [revealed(one) for one in told(house)[0]["warnings"]] == list(judged.warnings)


def test_a_file_that_changes_while_it_is_read_waits(house: House):
    path = house.deliver("a.csv", rows(1, 2))

    def read_while_written(file: Path) -> pd.DataFrame:
        frame = d.read_gauge(file)
        path.write_text(rows(1, 2, 3))
        return frame

    (delivery,) = house.look()
    judged = batches.ingest_one(delivery, GAUGE.model_copy(update={"read": read_while_written}), intake=house.intake, now=NOW)
    assert (judged.outcome, told(house), house.files()) == ("waiting", [], {})
    assert [judged.outcome for judged in house.ingest()] == ["published"]
    assert house.levels() == [[1, 2, 3]]


def test_a_file_that_cannot_be_opened_is_reported_and_tried_again(house: House):
    path = house.root / "landing" / "gauge" / "a.csv"
    path.mkdir()  # to open it fails, whoever runs this
    judged = batches.ingest_one(landing.Delivery("gauge", "a.csv", path, "0:0"), GAUGE, intake=house.intake, now=NOW)
    assert judged.outcome == "unreadable"
    assert "check its permissions" in judged.reason
    assert told(house) == []


def test_a_reader_that_returns_no_frame_is_a_mistake_in_the_contract(house: House):
    house.deliver("a.csv", rows(1, 2))
    (delivery,) = house.look()
    with pytest.raises(ContractError, match="returned list; expected a pandas DataFrame"):
        batches.ingest_one(delivery, GAUGE.model_copy(update={"read": lambda path: [path]}), intake=house.intake, now=NOW)


@pytest.mark.parametrize("levels", [(1, 2), (1, -2)])
def test_killed_before_the_journal_the_next_run_ends_in_the_same_state(tmp_path: Path, levels: tuple[int, ...]):
    whole, killed = House(tmp_path / "whole"), House(tmp_path / "killed")
    for house in (whole, killed):
        house.deliver("a.csv", rows(*levels))
    whole.ingest()
    assert (
        subprocess.run([sys.executable, "-c", DIES_AT_THE_JOURNAL, killed.root], cwd=Path(d.__file__).parent, check=False).returncode == 9
    )
    assert told(killed) == []
    assert killed.files() == whole.files()
    killed.ingest()
    assert killed.files() == whole.files()
    kept = ["name", "delivery", "outcome", "reason", "batch", "after"]
    assert [[row[name] for name in kept] for row in told(killed)] == [[row[name] for name in kept] for row in told(whole)]
    whole.journal.close()
    killed.journal.close()


def test_a_torn_or_missing_batch_is_not_read_and_is_made_anew(house: House):
    house.deliver("a.csv", rows(1, 2))
    house.ingest()
    digest = told(house)[0]["batch"]
    path = landing.batch_path(house.root, "gauge", digest)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match="is torn"):
        batches.load(house.root, "gauge", digest)
    path.unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        batches.load(house.root, "gauge", digest)
    assert [judged.outcome for judged in house.ingest()] == ["published"]
    assert house.levels() == [[1, 2]]


def test_a_store_that_cannot_be_written_stops_with_what_to_do(house: House):
    (house.root / "batches").write_text("a file where the folder should be")
    house.deliver("a.csv", rows(1, 2))
    with pytest.raises(DataError, match=r"cannot be written: .* Free some space or check its permissions"):
        house.ingest()
    assert told(house) == []
