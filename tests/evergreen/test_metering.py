import time

import numpy as np
import pandas as pd
import pytest

from evergreen import metering
from evergreen.artefact import Artefact
from evergreen.metering import Meter
from evergreen.selftest.planted import Defective, underfitted

X = pd.DataFrame({"x": np.arange(50.0)})


def measured(seconds: float = 0.0) -> dict:
    """What a model takes whose answers need so many seconds."""
    model = Defective(underfitted("binary"), "slow", seconds=seconds).fit(X, np.arange(50) % 2)
    meter = Meter()
    meter.loaded()
    meter.timed(lambda estimator, rows: pd.DataFrame(estimator.predict_proba(rows)), model, X)
    return meter.measured(Artefact(model, ["x"]), X)


def test_every_call_and_row_is_timed():
    found = measured(0.01)
    # `predict_proba` and `predict`: two answers a call
    assert found["one_row_seconds"] == pytest.approx([0.02] * metering.CALLS, rel=0.5)
    assert found["rows_per_second"] == pytest.approx(50 / 0.01, rel=0.3)
    assert found["family"] == "Defective"


def test_a_slow_model_is_not_waited_for_a_hundred_times(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metering, "PATIENCE_SECONDS", 0.5)
    calls = measured(0.05)["one_row_seconds"]
    assert metering.FEWEST_CALLS <= len(calls) < 10


def test_a_machine_that_is_busy_now_and_then_does_not_make_a_model_slow():
    class Hiccups(Defective):
        def predict_proba(self, X):
            self.calls = getattr(self, "calls", 0) + 1
            if self.calls % 5 == 0:
                time.sleep(0.05)
            return super().predict_proba(X)

    model = Hiccups(underfitted("binary"), "not a number").fit(X, np.arange(50) % 2)
    meter = Meter()
    meter.timed(lambda estimator, rows: pd.DataFrame(estimator.predict_proba(rows)), model, X)
    assert max(meter.measured(Artefact(model, ["x"]), X)["one_row_seconds"]) < 0.04
