"""Each rule of data health: it fires on a planted fault, and is silent on deliveries that are like those before."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from deliveries import expectation, write_suite
from toy.contract import PROBLEM as TOY
from workspaces import changed

from evergreen import journal as tables
from evergreen.data import batches, landing
from evergreen.data.acceptance import accept
from evergreen.data.checkups import Checkup, Finding
from evergreen.errors import JournalError, RefusedError
from evergreen.journal import Journal
from evergreen.monitoring.doctor import Doctor
from evergreen.monitoring.health import judge
from evergreen.monitoring.profiles import LABEL, profile
from evergreen.policies import Source
from evergreen.report import quarantine
from evergreen.validation import rules_of
from evergreen.watches import HealthPolicy

NOW = datetime(2026, 7, 1, 3, 0, tzinfo=UTC)
DAYS = 28
Change = Callable[[pd.DataFrame], pd.DataFrame]


def read_meter(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"reading": "str", "site": "str"}, parse_dates=["at"])


METER = Source(name="meter", key=("reading",), time="at", read=read_meter, rows=(100, 100_000))
LOOKUP = Source(name="sites", key=("site",), read=pd.read_csv)
PROBLEM = changed(
    TOY,
    sources=(METER,),
    entity="meter",
    joins=(),
    features=("level",),
    slices=(),
    forbidden=(),
    serving=changed(TOY.serving, carry=()),
    target=changed(TOY.target, source="meter", label=lambda rows: (rows["level"] > 60).astype(int)),
    gate=changed(TOY.gate, cluster="day"),
)


def rows(month: int, change: Change = lambda frame: frame) -> pd.DataFrame:
    """Four weeks of readings, forty a day; the level swings from month to month."""
    rng = np.random.default_rng(month)
    at = pd.date_range(datetime(2026, month, 1, tzinfo=UTC), periods=40 * DAYS, freq="36min")
    frame = pd.DataFrame(
        {
            "reading": [f"{month}-{number}" for number in range(len(at))],
            "at": at,
            "site": rng.choice(["north", "south", "west"], len(at)),
            "level": rng.normal(50 + 3 * (month % 2), 10, len(at)).round(2),
            "flow": np.where(rng.random(len(at)) < 0.05, np.nan, rng.gamma(2, 3, len(at)).round(2)),
        }
    )
    return change(frame)


def found(month: int, change: Change, *, policy: HealthPolicy = METER.health, history: int = 5) -> list[Finding]:
    source = changed(METER, health=policy)
    before = [profile(rows(number), source) for number in range(1, history + 1)]
    return judge(source, before, profile(rows(month, change), source))


def failed(findings: list[Finding]) -> set[tuple[str, str, str]]:
    return {(one.pillar, one.rule, one.column) for one in findings if one.state == "fail"}


def without(share: float, column: str) -> Change:
    return lambda frame: frame.assign(**{column: frame[column].where(np.arange(len(frame)) % 100 >= 100 * share)})


def thinned(frame: pd.DataFrame, *, days: tuple[int, ...], keep: int) -> pd.DataFrame:
    """Of those days only every `keep`th row; none where it is 0."""
    there = ~frame["at"].dt.day.isin(days) | ((np.arange(len(frame)) % keep == 0) if keep else False)
    return frame[there].reset_index(drop=True)


FAULTS: list[tuple[str, Change, tuple[str, str, str]]] = [
    ("a column is gone", lambda frame: frame.drop(columns="flow"), ("schema", "removed", "flow")),
    ("a number is text", lambda frame: frame.assign(flow=frame["site"]), ("schema", "retyped", "flow")),
    ("two days have a third of their rows", lambda frame: thinned(frame, days=(9, 10), keep=3), ("volume", "days", "")),
    ("two days have no rows", lambda frame: thinned(frame, days=(9, 10), keep=0), ("volume", "days", "")),
    ("another unit", lambda frame: frame.assign(level=frame["level"] * 1.8 + 32), ("distribution", "values", "level")),
    ("a shifted category", lambda frame: frame.assign(site=frame["site"].replace("west", "north")), ("distribution", "values", "site")),
    ("missing values", without(0.35, "level"), ("distribution", "missing", "level")),
    ("all values are missing", without(1, "level"), ("distribution", "missing", "level")),
    (
        "a new category",
        lambda frame: frame.assign(site=frame["site"].where(frame.index % 10 > 0, "new")),
        ("distribution", "unseen", "site"),
    ),
    (
        "a sensor stands still",
        lambda frame: frame.assign(level=frame["level"].where(frame.index >= 60, 50.0)),
        ("distribution", "stuck", "level"),
    ),
]


FAHRENHEIT: Change = FAULTS[4][1]


@pytest.mark.parametrize(("change", "expected"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS])
def test_a_planted_fault_is_found_by_the_rule_that_is_there_for_it(change: Change, expected: tuple[str, str, str]):
    assert expected in failed(found(6, change))


@pytest.mark.parametrize("month", [6, 7, 8, 9, 10, 11, 12])
def test_what_is_like_before_is_well(month: int):
    findings = found(month, lambda frame: frame)
    assert [one.sentence for one in findings if one.state in {"fail", "warn"}] == []
    assert {one.rule for one in findings if one.state == "ok"} >= {"columns", "rows", "days", "values", "missing", "unseen", "stuck"}


def test_smaller_changes_of_the_same_kind_are_not_refused():
    changes = [
        without(0.05, "level"),
        lambda frame: thinned(frame, days=(9, 10), keep=1),
        lambda frame: frame.assign(level=frame["level"] + 1),
    ]
    assert [failed(found(6, change)) for change in changes] == [set()] * 3
    assert failed(found(6, lambda frame: thinned(frame, days=(9,), keep=3))) == set()  # a single day only warns
    (day,) = [one for one in found(6, lambda frame: thinned(frame, days=(9,), keep=3)) if one.rule == "days"]
    assert (day.state, day.value, day.threshold) == ("warn", 1, 2)
    assert "such as 2026-06-09 with 13" in day.sentence


def test_a_new_column_warns():
    (new,) = [one for one in found(6, lambda frame: frame.assign(more=1)) if one.rule == "added"]
    assert (new.state, new.column, new.sentence) == ("warn", "more", "`more` is new; the last accepted delivery did not have it")


def test_distributions_are_not_judged_before_it_is_known_how_far_apart_they_usually_are():
    unit = FAULTS[4][1]
    assert failed(found(6, unit, history=3)) == set()
    assert failed(found(6, unit, history=4)) == {("distribution", "values", "level")}
    (told,) = [one for one in found(6, unit, history=3) if one.pillar == "distribution"]
    assert told.sentence.startswith("3 deliveries were accepted before; 4 over 14 days are needed")
    assert [one.state for one in judge(METER, [], profile(rows(1), METER)) if one.pillar == "schema"] == ["unjudged"]


def test_what_usually_differs_as_much_is_no_fault():
    swings = [
        profile(rows(month, lambda frame, month=month: frame.assign(level=frame["level"] + 15 * (month % 2))), METER)
        for month in range(1, 7)
    ]
    assert failed(judge(METER, swings[:5], swings[5])) == set()
    assert ("distribution", "values", "level") in failed(judge(METER, swings[:5], profile(rows(6, FAULTS[4][1]), METER)))


def test_few_rows_are_not_judged():
    assert failed(found(6, lambda frame: FAULTS[4][1](frame).head(150), policy=HealthPolicy(days=1_000))) <= {("volume", "days", "")}


def test_daily_deliveries_are_held_against_the_same_weekday():
    source = changed(METER, rows=(1, 1_000))

    def day(number: int, keep: int = 1) -> dict[str, object]:
        frame = rows(1 + number // DAYS)
        return profile(frame[frame["at"].dt.day == 1 + number % DAYS].iloc[::keep], source)

    before = [day(number) for number in range(DAYS)]
    assert failed(judge(source, before, day(DAYS))) == set()
    (usual,) = [one for one in judge(source, before, day(DAYS, keep=3)) if one.rule == "usual"]
    assert (usual.state, usual.value, usual.usual) == ("fail", 14, 40)
    assert [one.state for one in judge(source, before[:14], day(14)) if one.rule == "usual"] == ["unjudged"]


def test_a_week_of_daily_deliveries_does_not_know_what_a_weekend_is_like():
    source = changed(METER, rows=(1, 1_000), health=HealthPolicy(min_rows=20))

    def day(number: int, change: Change = lambda frame: frame) -> dict[str, object]:
        frame = rows(1 + number // DAYS)
        return profile(change(frame[frame["at"].dt.day == 1 + number % DAYS]), source)

    for days, found_out in ((7, False), (15, True)):
        findings = judge(source, [day(number) for number in range(days)], day(days, FAHRENHEIT))
        assert (("distribution", "values", "level") in failed(findings)) is found_out
    (told,) = [one for one in judge(source, [day(number) for number in range(7)], day(7)) if one.pillar == "distribution"]
    assert told.sentence.startswith("deliveries of 6 days were accepted before; 4 over 14 days are needed")


def test_a_reference_table_may_not_lose_half_its_rows():
    tables_ = [profile(pd.DataFrame({"site": [str(number) for number in range(size)]}), LOOKUP) for size in (300, 301, 305, 310, 140, 290)]
    assert failed(judge(LOOKUP, tables_[:4], tables_[4])) == {("volume", "usual", "")}
    assert failed(judge(LOOKUP, tables_[:4], tables_[5])) == set()


def test_quantiles_tell_the_largest_number_and_categories_their_shares():
    told = profile(
        pd.DataFrame(
            {"reading": ["a", "b", "c", "d"], "at": pd.date_range("2026-01-01", periods=4, freq="D", tz=UTC), "n": [1, 2, 2, np.inf]}
        ),
        METER,
    )
    assert (told["first"], told["last"], told["days"]) == ("2026-01-01", "2026-01-04", {"2026-01-02": 1, "2026-01-03": 1})
    number = told["columns"]["n"]
    assert (min(number["quantiles"]), max(number["quantiles"]), number["longest"], number["known"]) == (1, 2, 2, 3)
    assert told["columns"]["reading"]["kind"] == "name"  # every row has its own
    labelled = profile(rows(1), METER, lambda frame: frame["level"] > 60)
    assert labelled["columns"][LABEL]["shares"]["True"] == pytest.approx((rows(1)["level"] > 60).mean())


class Clinic:
    """The meter's deliveries, ingested one by one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.suite = write_suite(root / "expectations" / "meter.json", expectation("column_values_to_not_be_null", column="reading"))
        (root / "landing" / "meter").mkdir(parents=True)
        self.journal = Journal(f"sqlite:///{root / 'journal.db'}")

    def deliver(self, name: str, frame: pd.DataFrame, source: Source = METER) -> batches.Judged:
        frame.to_csv(self.root / "landing" / "meter" / name, index=False)
        return self.ingest(source)[-1]

    def ingest(self, source: Source = METER) -> list[batches.Judged]:
        problem = PROBLEM.model_copy(update={"sources": (source,)})
        intake = batches.Intake(self.root, self.suite.parent, self.journal, quarantine.render, Doctor(self.root, self.journal, problem))
        files = landing.find(self.root / "landing", problem, settle_seconds=0, now=NOW)
        new = landing.unjudged(files, landing.known(self.journal), rules_of(problem, self.suite.parent), root=self.root)
        return [batches.ingest_one(one, source, intake=intake, now=NOW) for one in new]

    def states(self) -> list[tuple[str, set[str]]]:
        return [(row["name"], {one["state"] for one in row["facts"]["findings"]}) for row in self.journal.rows(tables.checkups)]


@pytest.fixture
def clinic(tmp_path: Path):
    clinic = Clinic(tmp_path)
    for month in range(1, 6):
        assert clinic.deliver(f"{month}.csv", rows(month)).outcome == "published"
    yield clinic
    clinic.journal.close()


def test_a_delivery_unlike_those_before_it_is_kept_from_the_models_and_a_corrected_one_is_not(clinic: Clinic):
    refused = clinic.deliver("6.csv", rows(6, FAHRENHEIT))
    assert refused.outcome == "quarantined"
    assert refused.reason.startswith("is not like those that were accepted before: `level` differs by")
    assert clinic.ingest() == []  # it is judged once
    assert len(landing.active(clinic.journal, "meter")) == 5
    assert clinic.deliver("6.csv", rows(6)).outcome == "published"
    assert [name for name, _ in clinic.states()] == ["1.csv", "2.csv", "3.csv", "4.csv", "5.csv", "6.csv", "6.csv"]
    assert clinic.deliver("7.csv", rows(7)).outcome == "published"  # compared with the corrected one


def test_a_person_may_accept_it_and_what_follows_is_held_against_it(clinic: Clinic):
    clinic.deliver("6.csv", rows(6, FAHRENHEIT))
    assert accept(clinic.journal, "meter/6.csv", reason="new meters", person="ann")
    assert not accept(clinic.journal, "meter/6.csv", reason="again", person="ann")
    (judged,) = clinic.ingest()
    assert judged.outcome == "published"
    assert any(warning.startswith("`level` differs by") for warning in judged.warnings)
    assert clinic.ingest() == []
    assert clinic.deliver("7.csv", rows(7, FAHRENHEIT)).outcome == "published"
    assert [(row["person"], row["reason"], row["revoked"]) for row in clinic.journal.rows(tables.revocations)] == [
        ("ann", "new meters", False)
    ]


def test_what_is_accepted_is_judged_by_its_expectations_still(clinic: Clinic):
    clinic.deliver("6.csv", rows(6, FAHRENHEIT))
    accept(clinic.journal, "meter/6.csv", reason="new meters", person="ann")
    stricter = changed(METER, rows=(2_000, 100_000))
    (judged,) = clinic.ingest(stricter)
    assert (judged.outcome, judged.reason.partition(":")[0]) == ("quarantined", "breaks 1 expectation")
    assert clinic.ingest(stricter) == []  # once, not for ever


def test_what_breaks_its_expectations_cannot_be_accepted(clinic: Clinic):
    clinic.deliver("6.csv", rows(6).assign(reading="same"))
    with pytest.raises(RefusedError, match=r"meter/6\.csv breaks 1 expectation.*To accept it would not help"):
        accept(clinic.journal, "meter/6.csv", reason="x", person="ann")
    assert clinic.journal.rows(tables.revocations) == []


def test_what_follows_an_accepted_delivery_is_judged_anew_with_it(clinic: Clinic):
    for month in (6, 7, 8):
        assert clinic.deliver(f"{month}.csv", rows(month, FAHRENHEIT)).outcome == "quarantined"
    accept(clinic.journal, "meter/6.csv", reason="new meters", person="ann")
    assert [(one.name, one.outcome) for one in clinic.ingest()] == [(f"{month}.csv", "published") for month in (6, 7, 8)]
    assert clinic.ingest() == []


def test_one_accepted_change_does_not_make_the_next_one_usual(clinic: Clinic):
    clinic.deliver("6.csv", rows(6, FAHRENHEIT))
    accept(clinic.journal, "meter/6.csv", reason="new meters", person="ann")
    clinic.ingest()
    assert clinic.deliver("7.csv", rows(7)).outcome == "quarantined"  # back again: somebody should know
    assert clinic.deliver("7.csv", rows(7, FAHRENHEIT)).outcome == "published"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), JournalError("locked"), MemoryError()])
def test_what_is_not_the_deliverys_fault_is_no_verdict_on_it(clinic: Clinic, monkeypatch: pytest.MonkeyPatch, error: Exception):
    def failing(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("evergreen.monitoring.doctor.profile", failing)
        with suppress(JournalError, MemoryError):
            assert clinic.deliver("6.csv", rows(6)).outcome == "unreadable"
    assert [(one.name, one.outcome) for one in clinic.ingest()] == [("6.csv", "published")]


def test_few_rows_a_day_come_and_go_by_chance():
    source = changed(METER, rows=(1, 1_000))
    rng = np.random.default_rng(1)

    def month(number: int, mean: float) -> dict[str, object]:
        days = [pd.Timestamp(datetime(2026, number, day, tzinfo=UTC)) for day in range(1, 29) for _ in range(rng.poisson(mean))]
        first, last = (pd.Timestamp(datetime(2026, number, day, tzinfo=UTC)) for day in (1, 28))
        at = [first, *days, last]
        return profile(pd.DataFrame({"reading": [f"{number}-{place}" for place in range(len(at))], "at": at}), source)

    for mean in (0.3, 1, 3, 8, 20):
        months = [month(number, mean) for number in range(1, 13)]
        refused = [number for number in range(4, 12) if ("volume", "days", "") in failed(judge(source, months[:number], months[number]))]
        assert refused == [], mean


def test_what_grows_is_not_held_against_its_beginnings():
    source = changed(METER, rows=(1, 1_000_000))

    def month(number: int) -> dict[str, object]:
        at = pd.date_range(datetime(2026, number, 1, tzinfo=UTC), datetime(2026, number, 28, tzinfo=UTC), freq=f"{60 / 1.3**number:.3f}min")
        return profile(pd.DataFrame({"reading": [f"{number}-{place}" for place in range(len(at))], "at": at}), source)

    months = [month(number) for number in range(1, 13)]
    assert [number for number in range(4, 12) if failed(judge(source, months[:number], months[number]))] == []


def test_deliveries_by_the_hour_are_not_held_against_other_hours():
    source = changed(METER, rows=(1, 1_000))
    monday = pd.Timestamp("2026-01-05", tz=UTC)
    hours = [profile(rows(1).head(5 if hour % 2 else 100).assign(at=monday), source) for hour in range(10)]
    assert [one.state for one in judge(source, hours[:9], hours[9]) if one.rule == "usual"] == ["unjudged"]


def test_a_correction_is_held_against_what_came_before_it_in_time(clinic: Clinic):
    assert clinic.deliver("6.csv", rows(6).assign(more=1)).outcome == "published"
    assert clinic.deliver("2.csv", rows(2).assign(flow=lambda frame: frame["flow"] + 0.01)).outcome == "published"  # has no `more`
    assert clinic.deliver("7.csv", rows(7).assign(more=1)).outcome == "published"
    assert clinic.deliver("8.csv", rows(8)).outcome == "quarantined"


def test_what_is_infinite_counts_as_missing():
    assert ("distribution", "missing", "level") in failed(
        found(6, lambda frame: frame.assign(level=frame["level"].where(frame.index % 2 > 0, np.inf)))
    )


def test_a_column_is_judged_once_enough_deliveries_have_it():
    def with_more(month: int) -> dict[str, object]:
        return profile(rows(month).assign(more=lambda frame: frame["level"] * 2), METER)

    before = [profile(rows(1), METER), *(with_more(month) for month in range(2, 6))]
    gone = profile(rows(6).assign(more=np.nan), METER)
    assert ("distribution", "missing", "more") in failed(judge(METER, before, gone))
    assert ("distribution", "missing", "more") not in failed(judge(METER, before[:4], gone))


def test_a_constant_cannot_be_stuck_and_digits_alone_do_not_make_a_text_a_number():
    def odd(month: int, **values: object) -> dict[str, object]:
        return profile(
            rows(month).assign(constant=7, code=["1" if place % 3 else "X" for place in range(40 * DAYS)]).assign(**values), METER
        )

    before = [odd(month) for month in range(1, 6)]
    findings = judge(METER, before, odd(6, code=1))
    assert [one.column for one in findings if one.rule == "stuck" and one.column == "constant"] == []
    assert [(one.column, one.state) for one in findings if one.rule == "retyped"] == [("code", "warn")]
    words = [profile(rows(month).assign(code="X"), METER) for month in range(1, 6)]
    assert ("schema", "retyped", "code") in failed(judge(METER, words, profile(rows(6).assign(code=1), METER)))


def test_another_time_or_key_makes_other_profiles(clinic: Clinic):
    untimed = changed(METER, time=None)
    clinic.deliver("6.csv", rows(6), untimed)
    assert clinic.deliver("7.csv", rows(7), METER).outcome == "published"


def test_only_what_is_in_quarantine_can_be_accepted(clinic: Clinic):
    with pytest.raises(RefusedError, match=r"No delivery in quarantine: got 'meter/5.csv'; in quarantine: none"):
        accept(clinic.journal, "meter/5.csv", reason="x", person="ann")
    clinic.deliver("6.csv", rows(6, FAHRENHEIT))
    digest = clinic.journal.last(tables.deliveries)["delivery"]
    with pytest.raises(RefusedError, match="in quarantine: meter/6"):
        accept(clinic.journal, digest[:5], reason="x", person="ann")
    assert accept(clinic.journal, digest[:6], reason="x", person="ann")


def test_a_source_may_have_some_pillars_warn_only(clinic: Clinic):
    lenient = changed(METER, health=HealthPolicy(refuse=("schema",)))
    judged = clinic.deliver("6.csv", rows(6, FAHRENHEIT), lenient)
    assert judged.outcome == "published"
    assert any("`level` differs" in warning for warning in judged.warnings)
    assert clinic.deliver("7.csv", rows(7).drop(columns="flow"), lenient).outcome == "quarantined"


def test_looser_rules_judge_it_anew(clinic: Clinic):
    clinic.deliver("6.csv", rows(6, FAHRENHEIT))
    (judged,) = clinic.ingest(changed(METER, health=HealthPolicy(min_psi=1_000.0, stuck_times=1_000.0)))
    assert (judged.outcome, judged.reason) == ("published", "")


def test_a_check_that_breaks_refuses_the_delivery(clinic: Clinic, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("evergreen.monitoring.doctor.profile", lambda *_: 1 / 0)
    judged = clinic.deliver("6.csv", rows(6))
    assert judged.outcome == "quarantined"
    assert "its health cannot be checked: ZeroDivisionError" in judged.reason


def test_rows_that_came_before_under_another_name_are_told(clinic: Clinic):
    told_only = changed(METER, health=HealthPolicy(refuse=()))
    judged = clinic.deliver("5-again.csv", pd.concat([rows(5).tail(200), rows(6).head(900)]), told_only)
    (told,) = [warning for warning in judged.warnings if "delivered before" in warning]
    assert told.startswith("18.2% of its rows were delivered before, under another name")


def profiles(clinic: Clinic) -> dict[str, float]:
    """When each profile was written."""
    return {path.name: path.stat().st_mtime_ns for path in sorted((clinic.root / "profiles" / "meter").iterdir())}


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"maker": "1", "profile": [1]}', b'{"maker": "0", "profile": {"rows": 1}}'])
def test_a_profile_that_is_missing_torn_or_made_otherwise_is_made_from_the_batch(clinic: Clinic, content: bytes | None):
    whole = profiles(clinic)
    for name in whole:
        path = clinic.root / "profiles" / "meter" / name
        path.unlink() if content is None else path.write_bytes(content)
    assert clinic.deliver("6.csv", rows(6, FAHRENHEIT)).outcome == "quarantined"
    mended = profiles(clinic)
    assert set(mended) == set(whole)
    assert clinic.deliver("6.csv", rows(6)).outcome == "published"
    assert {name: at for name, at in profiles(clinic).items() if name in whole} == mended  # made once


def test_a_batch_that_is_gone_keeps_no_delivery_from_being_judged(clinic: Clinic):
    first = landing.active(clinic.journal, "meter")[0]["batch"]
    (clinic.root / "profiles" / "meter" / f"{first}.json").unlink()
    landing.batch_path(clinic.root, "meter", first).unlink()
    (clinic.root / "landing" / "meter" / "1.csv").unlink()
    assert clinic.deliver("6.csv", rows(6, FAHRENHEIT)).outcome == "quarantined"  # four others are there
    assert clinic.deliver("6.csv", rows(6)).outcome == "published"


def test_a_delivery_is_compared_with_the_newest_accepted_ones_only(clinic: Clinic):
    few = changed(METER, health=HealthPolicy(compared=4))
    for name in list(profiles(clinic)):
        (clinic.root / "profiles" / "meter" / name).unlink()
    assert clinic.deliver("6.csv", rows(6, FAHRENHEIT), few).outcome == "quarantined"
    assert len(profiles(clinic)) == 4


def test_the_journal_keeps_what_is_not_well_and_of_each_pillar_that_it_was_looked_at(clinic: Clinic):
    clinic.deliver("6.csv", rows(6, FAHRENHEIT))
    findings = clinic.journal.last(tables.checkups)["facts"]["findings"]
    assert {one["state"] for one in findings} == {"ok", "fail"}
    assert [one["pillar"] for one in findings if one["state"] == "ok"] == ["schema", "volume", "distribution", "duplicates"]
    odd = Checkup((Finding("volume", "days", "fail", "x", value=float("nan"), usual=float("inf")),))
    assert (odd.facts["findings"][0]["value"], odd.facts["findings"][0]["usual"]) == (None, None)


def test_a_file_that_cannot_be_read_is_a_fault_of_its_schema(clinic: Clinic):
    assert clinic.deliver("6.csv", rows(6).drop(columns="reading")).outcome == "quarantined"
    facts = clinic.journal.last(tables.checkups)["facts"]
    assert [(one["pillar"], one["state"]) for one in facts["findings"]] == [("schema", "fail")]


def test_the_page_shows_both_deliveries_side_by_side(clinic: Clinic):
    page = clinic.deliver("6.csv", rows(6, FAHRENHEIT)).page
    assert page is not None
    text = " ".join(page.read_text().split())
    for words in (
        "It meets its expectations, but is not like the deliveries",
        "Unlike those before it",
        "Against the last accepted delivery",
    ):
        assert words in text
    assert "evergreen batch accept meter/6.csv --reason" in text
    broken = clinic.deliver("7.csv", rows(7).assign(reading="same")).page
    assert broken is not None
    assert "batch accept" not in broken.read_text()  # that would not help


def test_nothing_is_found_where_nobody_looks():
    assert Checkup().facts == {"findings": []}
