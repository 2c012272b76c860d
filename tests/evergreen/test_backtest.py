"""The data that are there, played again under several retraining policies."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import arming
import numpy as np
import pandas as pd
import pytest
import workspaces
from backtests import DAYS, FORTNIGHTS, QUICK, TURN, outcomes, played, policy, stable, turning, world
from toy import data, tasks
from workspaces import changed, correct, deliver, ingest, toy_frame

from benchmarks.backtest_check import costs_by_hand, differences, terms_of
from evergreen.backtest import fits, worth
from evergreen.backtest.periods import Stretch, find_period
from evergreen.backtest.plans import USUAL, plans_of
from evergreen.backtest.running import run_backtest
from evergreen.contract import Problem
from evergreen.data.snapshots import as_of, build_frame, published_now
from evergreen.errors import DataError, EvergreenError, RefusedError
from evergreen.policies import HashedSplit
from evergreen.watches import DriftPolicy
from evergreen.workspace import Workspace

POLICIES = ("monthly", "every-14-days", "on-drift", "on-decay", "always")
KILLED = """
import sys
from pathlib import Path
import arming
from backtests import QUICK, played
from workspaces import open_space
arming.arm()
played(open_space(Path(sys.argv[1]), problem=QUICK), *sys.argv[2:])
"""


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A world in which what the first model knows is soon wrong."""
    space = world(tmp_path_factory.mktemp("turned"), turning)
    yield space
    space.journal.close()


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A world in which nothing changes."""
    space = world(tmp_path_factory.mktemp("calm"), stable)
    yield space
    space.journal.close()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of training rows of every fit that is made."""
    made, fit = list[int](), fits.fit_candidate

    def noted(problem, train, **how):
        made.append(len(train))
        return fit(problem, train, **how)

    monkeypatch.setattr(fits, "fit_candidate", noted)
    return made


def under(space: Workspace, **values: object) -> Workspace:
    """The same workspace under another contract."""
    return Workspace(space.settings, changed(QUICK, **values), space.journal)


def test_where_the_world_turns_retraining_is_surely_cheaper_than_training_once(turned: Workspace):
    told = played(turned, *POLICIES)
    for name in ("monthly", "every-14-days", "contract"):
        assert policy(told, name)["against"]["never"]["word"] == "surely better"
        assert policy(told, name)["promotions"] > 1
    assert told["finding"] == {"is_worth_it": True, "cheapest": "every-14-days", "least": "monthly"}
    assert told["answer"][0].startswith("Retraining is worth it here: monthly, with 4 trainings, is surely cheaper than training once")


def test_the_page_says_which_comparisons_hold_together(turned: Workspace, monkeypatch: pytest.MonkeyPatch):
    asked, compare = list[tuple[str, str, int]](), worth.compare

    def noted(costs, problem, name, other, *, of):
        asked.append((name, other, of))
        return compare(costs, problem, name, other, of=of)

    monkeypatch.setattr(worth, "compare", noted)
    told = played(turned, *POLICIES)
    (words,) = [each for each in told["assumptions"] if each.startswith("Bounds")]
    assert "all comparisons of policies with the same other hold together in 95%" in words
    assert "What rule of thumb and no model cost against training once holds in 95% for each alone." in words
    against = {name: of for name, other, of in asked if other == "never"}
    costs = {policy(told, name)["cost_per_1000"] for name in (*POLICIES, "contract")} - {policy(told, "never")["cost_per_1000"]}
    assert len(costs) > 1
    assert {against.pop(name) for name in ("rule of thumb", "no model")} == {1}
    assert set(against.values()) == {len(costs)}


def test_where_nothing_changes_they_cannot_be_told_apart(calm: Workspace):
    told = played(calm, *POLICIES)
    assert {policy(told, name)["against"]["never"]["word"] for name in POLICIES} == {"cannot be told apart", "the same"}
    assert not told["finding"]["is_worth_it"]
    assert told["answer"][0].startswith("Nothing shows that retraining behind the gate is worth it here")


def test_never_trains_once_and_always_in_every_window_without_the_gate(turned: Workspace):
    told = played(turned, *POLICIES)
    assert (policy(told, "never")["trainings"], policy(told, "never")["promotions"]) == (1, 1)
    assert policy(told, "always")["promotions"] == len(told["windows"])
    assert {event["verdict"] for event in policy(told, "always")["events"][1:]} == {"put in place"}


def test_plain_pandas_and_scikit_learn_say_the_same_to_the_last_digit(turned: Workspace):
    told = played(turned, "monthly", "always")
    by_hand = worked_out(told)
    assert set(by_hand) == {"never", "monthly", "always"}
    assert differences(told, by_hand) == []


def test_the_second_opinion_finds_a_cost_that_is_another_and_a_window_that_is_missing(turned: Workspace):
    told = played(turned, "monthly", "always")
    by_hand = worked_out(told)
    off = by_hand | {"monthly": [*by_hand["monthly"][:-1], np.nextafter(by_hand["monthly"][-1], np.inf)]}
    (said,) = differences(told, off)
    assert said.startswith(f"monthly, {told['windows'][-1]['start'][:10]}: ")
    (said,) = differences(told, by_hand | {"never": by_hand["never"][:-1]})
    assert said == f"never: {len(told['windows'])} windows; by hand {len(told['windows']) - 1}"


def test_the_second_opinion_takes_a_verdict_as_recorded_and_finds_that_the_costs_are_of_another(turned: Workspace):
    told = played(turned, "monthly", "always")
    events = policy(told, "monthly")["events"]
    promoted = [event for event in events[1:] if event["promoted"]]
    assert promoted
    promoted[0]["promoted"] = False  # the costs that are told are still of this candidate
    assert {said.split(",")[0] for said in differences(told, worked_out(told))} == {"monthly"}


def worked_out(told: dict) -> dict[str, list[float]]:
    """What plain pandas and scikit-learn make of the world that turns."""
    rows, happened = toy_frame(DAYS), outcomes(turning)["returned"].astype("float64").to_numpy()
    windows = [(pd.Timestamp(window["start"]), pd.Timestamp(window["end"])) for window in told["windows"]]
    return costs_by_hand(rows.assign(returned=happened), QUICK, windows, terms_of(told))


@pytest.mark.parametrize("day", [110, 66])
def test_what_is_known_later_changes_nothing_before(turned: Workspace, tmp_path: Path, day: int):
    def poisoned(at: int, orders: pd.DataFrame) -> np.ndarray:
        honest = turning(at, orders)
        return ~honest if at >= day else honest

    space, moment = world(tmp_path, poisoned), (data.START + pd.Timedelta(days=day)).isoformat()
    later = pd.concat([data.day_of_orders(at) for at in range(day, DAYS)], ignore_index=True)
    correct(space, later, amount=later["amount"] * 7 + 1000)
    honest, other = played(turned, *POLICIES), played(space, *POLICIES)
    for name in ("never", *POLICIES, "contract"):
        before, after = ([event for event in policy(told, name)["events"] if event["at"] <= moment] for told in (honest, other))
        assert before == after
    for one, two in zip(honest["windows"], other["windows"], strict=True):
        # of no model the constant is chosen afterwards
        costs = [{name: cost for name, cost in window["costs"].items() if name != "no model"} for window in (one, two)]
        assert (costs[0] == costs[1]) == (one["end"] <= moment)


def test_an_outcome_is_known_when_its_delay_is_over(turned: Workspace):
    frame = build_frame(turned.settings.root, published_now(turned.journal, QUICK), QUICK)
    moment = data.START + pd.Timedelta(days=40, hours=12)
    seen = as_of(frame, moment, QUICK)
    assert seen.rows["ordered_at"].max() < moment + pd.Timedelta(hours=1)  # one is asked an hour before
    assert seen.rows["ordered_at"].max() >= moment
    assert seen.labelled["ordered_at"].max() <= moment - pd.Timedelta(days=1)
    assert (seen.still_open["ordered_at"] > moment - pd.Timedelta(days=1)).all()
    assert len(seen.labelled) + len(seen.still_open) == len(seen.rows)


def test_killed_in_the_middle_and_run_again_it_says_the_same_and_repeats_no_fit(turned: Workspace, tmp_path: Path, counted: list[int]):
    space = world(tmp_path / "home", turning)
    armed = {arming.TRACE: str(tmp_path / "trace"), arming.POINT: "after a fit of the backtest", arming.NUMBER: "3"}
    code = [sys.executable, "-c", KILLED, str(space.settings.root), *POLICIES]
    path = os.pathsep.join([str(Path(workspaces.__file__).parent), str(Path(workspaces.__file__).parents[1])])
    killed = subprocess.run(code, env={**os.environ, **armed, "PYTHONPATH": path}, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    kept = {file.name: file.stat().st_mtime_ns for file in kept_files(space)}
    assert len(kept) >= 3
    again, fitted = played(space, *POLICIES), len(counted)
    assert again == played(turned, *POLICIES)
    assert {file.name: file.stat().st_mtime_ns for file in kept_files(space)}.items() >= kept.items()
    assert fitted == len(kept_files(space)) - len(kept)


def test_run_twice_it_says_the_same_byte_for_byte_and_fits_nothing(turned: Workspace, counted: list[int]):
    first = played(turned, *POLICIES)
    counted.clear()
    assert json.dumps(played(turned, *POLICIES), sort_keys=True) == json.dumps(first, sort_keys=True)
    assert counted == []


def kept_files(space: Workspace) -> list[Path]:
    return sorted((space.settings.root / "backtest").glob("[!.]*.npz"))


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def pickled(path: Path) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    arrays["said decision"] = arrays["said decision"].astype(object)
    np.savez(path, **arrays)


def altered(path: Path) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    arrays["said decision"] = 1 - arrays["said decision"]
    np.savez(path, **arrays)


def borrowed(path: Path) -> None:
    path.write_bytes(next(other for other in sorted(path.parent.glob("*.npz")) if other != path).read_bytes())


@pytest.mark.parametrize("spoil", [torn, pickled, altered, borrowed])
def test_a_kept_file_that_is_not_what_was_written_is_not_believed(turned: Workspace, counted: list[int], spoil):
    for left in kept_files(turned):
        left.unlink()  # of other tests: not every one of them is read by this policy
    honest = played(turned, "always")
    counted.clear()
    spoil(kept_files(turned)[0])
    assert played(turned, "always") == honest
    assert len(counted) == 1
    assert played(turned, "always") == honest
    assert len(counted) == 1


def test_another_seed_and_another_contract_are_fitted_anew(turned: Workspace, counted: list[int]):
    played(turned, "monthly")
    for space, how in ((turned, {"seed": 5}), (under(turned, slices=()), {})):
        counted.clear()
        played(space, "monthly", **how)
        assert len(counted) == len(played(turned, "monthly")["windows"]) + 3  # those of the contract, and three months


def test_the_error_budget_is_spent_in_data_time_and_what_has_no_room_is_not_trained(calm: Workspace):
    space = under(calm, gate=changed(QUICK.gate, gates_per_year=2))
    told = played(space, "every-14-days", "always")
    events = policy(told, "every-14-days")["events"]
    assert [event["verdict"] for event in events[1:]] == ["promote", "promote", "", "", "", ""]
    assert {(event["action"], event["rule"]) for event in events[3:]} == {("skip", "error budget")}
    assert {event["reason"] for event in events[3:]} == {
        "the error budget has no room for another candidate until outcomes reach 2027-03-15"
    }
    assert {event["rule"] for event in policy(told, "contract")["events"][3:]} == {"error budget"}
    assert "skip" not in {event["action"] for event in policy(told, "always")["events"]}  # it asks no gate


def test_the_contracts_brakes_hold_in_data_time(calm: Workspace):
    space = under(calm, retraining=changed(QUICK.retraining, cooldown=timedelta(days=20)))
    own = policy(played(space, "every-14-days"), "contract")
    assert [event["rule"] for event in own["events"][1:]] == ["data", "cooldown", "data", "cooldown", "data", "cooldown"]


def test_a_contract_that_names_a_schedule_trains_when_its_hour_has_come(calm: Workspace):
    space = under(calm, retraining=changed(QUICK.retraining, on=("schedule",), cron="0 3 1 4,6 *"))
    own = policy(played(space), "contract")
    assert [event["at"][:10] for event in own["events"] if event["action"] == "retrain"] == ["2026-04-14"]


def test_on_drift_trains_when_the_rows_have_drifted_and_not_before(tmp_path: Path):
    space = world(tmp_path, stable, problem=changed(QUICK, retraining=changed(QUICK.retraining, drift=DriftPolicy(days=10))))
    later = pd.concat([data.day_of_orders(day) for day in range(85, DAYS)], ignore_index=True)
    correct(space, later, amount=later["amount"] + 40)
    told = played(space, "on-drift")
    began = [event["at"][:10] for event in policy(told, "on-drift")["events"] if event["action"] == "retrain"]
    turned_at = f"{data.START + pd.Timedelta(days=85):%Y-%m-%d}"
    assert began
    assert min(began) > turned_at
    skipped = [event for event in policy(told, "on-drift")["events"] if event["action"] == "skip" and event["at"] < turned_at]
    assert {event["reason"] for event in skipped} == {"nothing asks for it: no drift"}


def test_on_decay_trains_when_decisions_have_come_to_cost_more(tmp_path: Path):
    def late(day: int, orders: pd.DataFrame) -> np.ndarray:
        return turning(0 if day < 85 else TURN, orders)

    space = world(tmp_path, late, problem=changed(QUICK, retraining=changed(QUICK.retraining, debounce=(1, 1))))
    told = played(space, "on-decay")
    rules = [(event["at"] > "2026-03-31", event["rule"]) for event in policy(told, "on-decay")["events"][1:]]
    assert (True, "decay") in rules
    assert (False, "decay") not in rules


@pytest.mark.parametrize("name", ["hourly", "every-0-days", "every--days", "Monthly"])
def test_an_unknown_policy_is_refused_with_the_list(calm: Workspace, name: str):
    with pytest.raises(RefusedError, match=rf"no retraining policy '{name}'; there are: never, weekly, .*every-N-days.*contract"):
        played(calm, name)


@pytest.mark.parametrize(
    ("stretch", "told"),
    [
        (Stretch(since="2027-01"), "outcomes are known from 2026-01-05 to 2026-06-03"),
        (Stretch(through="2025-12-31"), "outcomes are known from 2026-01-05"),
        (Stretch(since="2026-05", through="2026-04"), "Got the period 2026-05 through 2026-04"),
        (Stretch(since="2026-01-20"), "Got --from 2026-01-20; before 2026-03-03 there is too little for a first model"),
        (Stretch(since="2026-05-20", every=30), "make one window .2026-05-20 to 2026-06-04. after a first model"),
        (Stretch(through="2026-02"), "There is too little for a first model before 2026-03-01"),
        (Stretch(since="2026-13"), "Got '2026-13' as a date; expected a day"),
        (Stretch(since="June"), "Got 'June' as a date"),
        (Stretch(every=0), "Got windows of 0 days"),
    ],
)
def test_a_stretch_that_cannot_be_played_is_refused_with_what_is_there(calm: Workspace, stretch: Stretch, told: str):
    with pytest.raises(RefusedError, match=told):
        played(calm, stretch=stretch)


def test_without_deliveries_or_outcomes_there_is_nothing_to_play(empty_space: Workspace):
    with pytest.raises(DataError, match="Nothing has been published yet of orders"):
        run_backtest(empty_space)
    workspaces.deliver_days(empty_space, 3)
    ingest(empty_space)
    with pytest.raises(EvergreenError, match="too little for a first model"):
        run_backtest(empty_space)


def test_a_problem_without_time_is_refused(calm: Workspace):
    with pytest.raises(RefusedError, match="is split by lot, not by time"):
        played(under(calm, split=HashedSplit(group="customer_id")))


def test_training_data_that_break_their_expectations_train_nothing(calm: Workspace, tmp_path: Path):
    suite = {"type": "expect_column_max_to_be_between", "kwargs": {"column": "amount", "max_value": 5}, "severity": "critical"}
    (tmp_path / "training_data.json").write_text(json.dumps({"name": "training_data", "expectations": [suite]}))
    space = Workspace(calm.settings.model_copy(update={"expectations": tmp_path}), QUICK, calm.journal)
    with pytest.raises(DataError, match="The training data are not what expectations"):
        played(space)


def test_windows_are_months_where_there_are_enough_and_else_as_long_as_the_holdout(calm: Workspace):
    frame = build_frame(calm.settings.root, published_now(calm.journal, QUICK), QUICK)
    months = find_period(frame, QUICK, Stretch())
    assert months.windows == "calendar months"
    assert [f"{start:%m-%d}" for start in months.starts] == ["04-01", "05-01"]  # of June three days are a sliver
    assert f"{months.end:%m-%d}" == "06-01"
    short = find_period(frame, QUICK, Stretch(through="2026-05-09"))
    assert short.windows == "25 days each"
    assert [f"{start:%m-%d}" for start in short.starts] == ["03-03", "03-28", "04-22"]


def test_policies_look_when_their_names_say(calm: Workspace):
    frame = build_frame(calm.settings.root, published_now(calm.journal, QUICK), QUICK)
    period = find_period(frame, QUICK, Stretch(since="2026-03-04", every=30))
    names = ["weekly", "monthly", "quarterly", "every-40-days", "on-drift"]
    times = {plan.name: [f"{at:%m-%d}" for at in plan.times(period)] for plan in plans_of(names, QUICK.retraining)}
    assert times["weekly"][:3] == ["03-09", "03-16", "03-23"]
    assert times["monthly"] == ["04-01", "05-01", "06-01"]
    assert times["quarterly"] == ["04-01"]
    assert times["every-40-days"] == ["04-13", "05-23"]
    assert times["on-drift"] == times["contract"] == ["04-03", "05-03"]
    assert times["never"] == []
    assert set(USUAL) <= {plan.name for plan in plans_of(USUAL, QUICK.retraining)}


def test_nothing_is_registered_and_nothing_is_written_into_the_journal(turned: Workspace):
    def written() -> bytes:
        return (turned.settings.root / "journal.db").read_bytes()

    before = written()
    played(turned, stretch=FORTNIGHTS)
    assert written() == before
    assert not (turned.settings.root / "mlartifacts").exists()


def test_a_delivery_that_comes_later_is_played_too(tmp_path: Path):
    space = world(tmp_path, turning, days=100)
    short = played(space, "always")
    later = outcomes(turning).query("ordered_at >= @moment", local_dict={"moment": data.START + pd.Timedelta(days=100)})
    workspaces.deliver_days(space, DAYS - 100, start=100, without=["outcomes"])
    deliver(space, "outcomes", "later.csv", later)
    ingest(space)
    longer = played(space, "always")
    assert len(longer["windows"]) > len(short["windows"])
    assert [window["costs"]["always"] for window in longer["windows"]][:2] == [w["costs"]["always"] for w in short["windows"]][:2]


@pytest.mark.parametrize("problem", [tasks.REGRESSION, tasks.MULTICLASS], ids=["numbers", "classes"])
def test_numbers_and_several_classes_are_played_as_well(tmp_path: Path, problem: Problem):
    space = workspaces.open_space(tmp_path, problem=problem)
    workspaces.deliver_days(space, 110)
    ingest(space)
    told = played(space, "always")
    assert policy(told, "always")["promotions"] == len(told["windows"])
    assert policy(told, "contract")["against"]["rule of thumb"]["word"] == "surely better"
    assert played(space, "always") == told


def test_a_contract_that_lets_nothing_set_a_training_going_trains_once(calm: Workspace):
    own = policy(played(under(calm, retraining=changed(QUICK.retraining, on=()))), "contract")
    assert own["trainings"] == 1
    assert {event["reason"] for event in own["events"][1:]} == {"the contract lets nothing set a training going"}
