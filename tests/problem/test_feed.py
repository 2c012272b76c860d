"""The example's outside world delivers what it says, when it says, and nothing that was not known then."""

from pathlib import Path

import pandas as pd
import pytest

from evergreen.errors import DataError
from problem import data, feed

Names = set[str]


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    feed.deliver(folder, "2013-02")
    return folder


def names(paths: list[Path]) -> Names:
    return {f"{path.parent.name}/{path.stem}" for path in paths}


def read(landing: Path, source: str, month: str) -> pd.DataFrame:
    return getattr(data, f"read_{source}")(landing / source / f"{month}.csv")


def local(times: pd.Series) -> pd.Series:
    return times.dt.tz_convert("America/New_York")


def test_when_a_month_is_over_its_outcomes_are_there_and_the_next_months_schedule_and_weather(landing: Path):
    reference = {"planes/2013", "airports/2013", "airlines/2013"}
    ahead = {f"{source}/2013-{month}" for source in ("schedule", "weather") for month in ("01", "02", "03")}
    assert names(list(landing.rglob("*.csv"))) == reference | ahead | {"outcomes/2013-01", "outcomes/2013-02"}


def test_the_next_month_adds_only_what_is_new_and_the_same_month_nothing(landing: Path, tmp_path: Path):
    assert len(feed.deliver(tmp_path, "2013-01")) == 8
    assert names(feed.deliver(tmp_path, "2013-02")) == {"schedule/2013-03", "weather/2013-03", "outcomes/2013-02"}
    assert feed.deliver(tmp_path, "2013-02") == []
    for path in tmp_path.rglob("*.csv"):
        assert path.read_bytes() == (landing / path.relative_to(tmp_path)).read_bytes()


def test_a_delivery_that_somebody_damaged_comes_again(tmp_path: Path):
    feed.deliver(tmp_path, "2013-01")
    path = tmp_path / "weather" / "2013-01.csv"
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    assert feed.deliver(tmp_path, "2013-01") == [path]
    assert path.read_bytes() == whole


def test_december_ends_the_year(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(feed, "_content", lambda source, name: f"{source} {name}".encode())
    assert len(feed.deliver(tmp_path, "2013-12")) == 3 + 3 * 12
    assert feed.deliver_corrupted(tmp_path, "2013-12") == []


@pytest.mark.parametrize("month", ["2013-13", "2014-01", "january", ""])
def test_a_month_that_is_none_of_the_year_is_told(tmp_path: Path, month: str):
    with pytest.raises(DataError, match=rf"Got the month '{month}'; the example has 2013-01 to 2013-12\. Try --through"):
        feed.deliver(tmp_path, month)
    with pytest.raises(DataError, match="Got the month"):
        feed.months_through(month)


def test_the_rounds_of_the_loop_begin_with_the_first_month_that_can_be_judged():
    assert feed.months_through("2013-07") == ["2013-05", "2013-06", "2013-07"]
    assert feed.months_through("2013-05") == ["2013-05"]
    with pytest.raises(DataError, match=r"Got the month '2013-04'; before 2013-05 there is too little"):
        feed.months_through("2013-04")
    assert feed.CORRUPTED in feed.MONTHS[: feed.MONTHS.index(feed.THROUGH) + 1]


@pytest.mark.parametrize("month", ["2013-01", "2013-02"])
def test_a_months_files_hold_that_months_flights(landing: Path, month: str):
    schedule, weather, outcomes = (read(landing, source, month) for source in ("schedule", "weather", "outcomes"))
    assert set(schedule["date"].str[:7]) == {month}
    assert set(local(schedule["scheduled_at"]).dt.strftime("%Y-%m")) == {month}
    assert set(local(weather["observed_at"]).dt.strftime("%Y-%m")) == {month}
    assert outcomes["flight_id"].tolist() == schedule["flight_id"].tolist()
    assert schedule["flight_id"].is_unique
    assert ((outcomes["recorded_at"] - schedule["scheduled_at"]) == pd.Timedelta(days=1)).all()


def test_the_scheduled_time_is_the_clock_of_new_york_in_utc(landing: Path):
    schedule = read(landing, "schedule", "2013-01").set_index("flight_id")
    assert schedule.loc["2013-01-01/UA1545/EWR/0515", "scheduled_at"] == pd.Timestamp("2013-01-01 10:15", tz="UTC")
    clock = local(schedule["scheduled_at"])
    assert (clock.dt.hour * 100 + clock.dt.minute == schedule["sched_dep_time"]).all()


def test_the_schedule_holds_nothing_that_is_known_only_afterwards(landing: Path):
    known_late = set(read(landing, "outcomes", "2013-01")) - {"flight_id", "recorded_at"}
    assert known_late == {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "tailnum"}
    assert set(read(landing, "schedule", "2013-01")).isdisjoint(known_late)


def test_the_aircraft_is_the_one_last_seen_on_that_flight_number_on_an_earlier_day(landing: Path):
    schedule = pd.concat([read(landing, "schedule", month) for month in ("2013-01", "2013-02")])
    outcomes = pd.concat([read(landing, "outcomes", month) for month in ("2013-01", "2013-02")])
    flown = schedule.drop(columns="aircraft").merge(outcomes[["flight_id", "tailnum"]], on="flight_id").dropna(subset="tailnum")
    flown = flown.assign(day=pd.to_datetime(flown["date"])).sort_values(["scheduled_at", "flight_id"])
    picked = read(landing, "schedule", "2013-02").sample(150, random_state=0)
    assert 0 < picked["aircraft"].isna().sum() < 50
    for flight in picked.itertuples():
        age = pd.Timestamp(flight.date) - flown["day"]
        same = (flown["carrier"] == flight.carrier) & (flown["flight"] == flight.flight)
        seen = flown.loc[same & (age > pd.Timedelta(0)) & (age <= pd.Timedelta(days=14)), "tailnum"]
        assert (None if pd.isna(flight.aircraft) else flight.aircraft) == (seen.iloc[-1] if len(seen) else None)


def test_a_missing_tail_number_tells_the_answer_and_a_missing_aircraft_does_not(landing: Path):
    outcomes = pd.concat([read(landing, "outcomes", month) for month in ("2013-01", "2013-02")])
    late = pd.Series(data.label_late(outcomes), index=outcomes["flight_id"])
    without_number = outcomes["tailnum"].isna()
    assert without_number.sum() > 100
    assert outcomes.loc[without_number, "dep_time"].isna().all()
    schedule = pd.concat([read(landing, "schedule", month) for month in ("2013-01", "2013-02")]).set_index("flight_id")
    without_aircraft = schedule["aircraft"].isna()
    assert without_aircraft.sum() > 1_000
    assert abs(late[without_aircraft].mean() - late[~without_aircraft].mean()) < 0.1


def test_the_weather_first_arrives_broken_once_and_is_mended_by_the_next_delivery(tmp_path: Path):
    (path,) = feed.deliver_corrupted(tmp_path, "2013-07")
    assert path == tmp_path / "weather" / "2013-08.csv"
    broken = data.read_weather(path)
    assert broken.duplicated(["origin", "observed_at"]).sum() == 3
    assert broken["pressure"].dropna().between(28, 32).all()
    before = path.stat().st_mtime_ns
    assert feed.deliver_corrupted(tmp_path, "2013-07") == [path]  # still the broken one, not written again
    assert path.stat().st_mtime_ns == before
    path.write_bytes(feed._content("weather", "2013-08"))
    assert feed.deliver_corrupted(tmp_path, "2013-07") == []
    right = data.read_weather(path)
    assert len(broken) == len(right) + 3
    assert right["pressure"].dropna().between(950, 1060).all()


def test_other_months_weather_arrives_whole(tmp_path: Path):
    assert [month for month in feed.MONTHS if feed.deliver_corrupted(tmp_path, month)] == ["2013-07"]


def test_the_last_month_delivered_is_told_by_its_outcomes_whatever_else_lies_there(tmp_path: Path):
    assert feed.last_delivered(tmp_path) is None
    (tmp_path / "outcomes").mkdir()
    for name in ("2013-02.csv", "2013-11.csv.part", "notes.csv"):
        (tmp_path / "outcomes" / name).touch()
    assert feed.last_delivered(tmp_path) == "2013-02"
