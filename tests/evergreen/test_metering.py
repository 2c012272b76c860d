import time

import gate_evidence as given
import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from evergreen import metering
from evergreen.artefact import Artefact
from evergreen.candidate import predicted
from evergreen.gate.checks_artefact import cost
from evergreen.gate.evidence import CANDIDATE, CHAMPION
from evergreen.gate.finding import Outcome
from evergreen.gate.footprints import costlier
from evergreen.metering import Meter
from evergreen.policies import GatePolicy
from evergreen.selftest.planted import Defective, underfitted

X = pd.DataFrame({"x": np.arange(50.0)})


def measured(seconds: float = 0.0) -> dict:
    """What a model takes whose answers need so many seconds."""
    return taken(Defective(underfitted("binary"), "slow", seconds=seconds))


def taken(model: Defective, rows: pd.DataFrame = X) -> dict:
    """What this model takes."""
    model.fit(X, np.arange(50) % 2)
    meter = Meter()
    meter.loaded()
    meter.timed_alone(predicted, model, rows)
    meter.timed(lambda estimator, rows: pd.DataFrame(estimator.predict_proba(rows)), model, rows)
    return meter.measured(Artefact(model, ["x"]))


def test_every_call_and_row_is_timed():
    found = measured(0.01)
    # `predict_proba` and `predict`: two answers a call; a busy machine only adds
    assert len(found["one_row_seconds"]) == metering.CALLS
    assert 0.02 <= min(found["one_row_seconds"]) < 0.04
    assert 50 / 0.5 < found["rows_per_second"] <= 50 / 0.01
    assert found["family"] == "Defective"


def test_a_slow_model_is_not_waited_for_a_hundred_times(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metering, "PATIENCE_SECONDS", 0.5)
    calls = measured(0.05)["one_row_seconds"]
    assert metering.FEWEST_CALLS <= len(calls) < 10


def test_one_row_is_answered_on_one_thread_and_a_batch_on_all():
    used = []

    def predict(estimator, rows):
        used.append((len(rows), max(one["num_threads"] for one in threadpool_info())))
        return pd.DataFrame({"probability": np.zeros(len(rows))})

    meter = Meter()
    with threadpool_limits(limits=2):
        meter.timed_alone(predict, None, X)
        meter.timed(predict, None, X)
    assert {*used} == {(1, 1), (50, 2)}


class Waits(Defective):
    """Every answer of it has to wait, as on a machine that is always busy."""

    def predict_proba(self, X):
        time.sleep(0.05)
        return super().predict_proba(X)


class Works(Defective):
    """Every answer of it is work."""

    def predict_proba(self, X):
        work(0.05)
        return super().predict_proba(X)


def work(seconds: float) -> None:
    begun = time.process_time()
    while time.process_time() - begun < seconds:
        pass


def test_a_busy_machine_does_not_make_a_model_costlier_and_work_does():
    waits, works = (taken(kind(underfitted("binary"), "not a number")) for kind in (Waits, Works))
    assert min(waits["one_row_seconds"]) > 0.05 > waits["processor_seconds"]
    assert works["processor_seconds"] > 0.05
    quick = given.make_footprint(processor_seconds=waits["processor_seconds"])
    for found, costs in ((waits, []), (works, ["processor time"])):
        evidence = given.change(given.make_evidence(), CHAMPION, footprint=quick)
        evidence = given.change(evidence, CANDIDATE, footprint=given.make_footprint(processor_seconds=found["processor_seconds"]))
        assert ["processor time" for told in costlier(evidence, 1.5) if "processor time" in told] == costs


class LooksUp(Defective):
    """It remembers each row that it has looked up, whether it was asked alone or among others."""

    def predict_proba(self, X):
        known = self.__dict__.setdefault("known", set())
        if not known.issuperset(X["x"]):
            work(0.01)
        known.update(X["x"])
        return super().predict_proba(X)


def test_a_model_that_remembers_rows_takes_the_time_of_new_ones_and_is_refused_by_it():
    found = taken(LooksUp(underfitted("binary"), "not a number"))
    assert min(found["one_row_seconds"]) > 0.01
    assert found["processor_seconds"] > 0.01
    times = {name: found[name] for name in ("one_row_seconds", "processor_seconds")}
    footprint = given.make_footprint(**times | {"one_row_seconds": 30 * np.array(found["one_row_seconds"])})  # 300 ms, as new rows take
    evidence = given.change(given.make_evidence(), CANDIDATE, footprint=footprint)
    assert cost(evidence, GatePolicy(), 0.01).outcome is Outcome.REJECT


def test_no_row_is_asked_twice_and_the_first_ones_are_not_timed():
    asked: list[float] = []

    class Listens(Defective):
        def predict_proba(self, X):
            if len(X) == 1:
                asked.append(float(X["x"].iloc[0]))
            return super().predict_proba(X)

    assert len(taken(Listens(underfitted("binary"), "not a number"))["one_row_seconds"]) == metering.CALLS
    once = [float(row) for row in range(3, 3 + metering.CALLS)]
    assert asked == [0.0, 1.0, 2.0, *once]


@pytest.mark.parametrize(("rows", "timed"), [(1, 1), (2, 1), (4, 1), (10, 7)])
def test_of_few_rows_each_that_was_not_asked_before_is_timed(rows: int, timed: int):
    assert len(taken(Defective(underfitted("binary"), "not a number"), X.head(rows))["one_row_seconds"]) == timed
