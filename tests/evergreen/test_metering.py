import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from evergreen import metering
from evergreen.artefact import Artefact
from evergreen.metering import Meter
from evergreen.selftest.planted import Defective, underfitted

X = pd.DataFrame({"x": np.arange(50.0)})
BUSY = "import time\nwhile True: pass"


def measured(seconds: float = 0.0) -> dict:
    """What a model takes whose answers need so many seconds."""
    model = Defective(underfitted("binary"), "slow", seconds=seconds).fit(X, np.arange(50) % 2)
    meter = Meter()
    meter.loaded()
    meter.timed(lambda estimator, rows: pd.DataFrame(estimator.predict_proba(rows)), model, X)
    return meter.measured(Artefact(model, ["x"]), X)


def test_every_call_and_row_is_timed():
    found = measured(0.02)
    # `predict_proba` and `predict`: two answers a call
    assert found["one_row_seconds"] == pytest.approx([0.04] * metering.CALLS, rel=0.5)
    assert found["rows_per_second"] == pytest.approx(50 / 0.02, rel=0.3)
    assert found["family"] == "Defective"


def test_a_slow_model_is_not_waited_for_a_hundred_times(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metering, "PATIENCE_SECONDS", 0.5)
    calls = measured(0.05)["one_row_seconds"]
    assert metering.FEWEST_CALLS <= len(calls) < 20


@pytest.mark.skipif(not metering._WAITED.exists(), reason="only Linux tells how long a process waited for a processor")
def test_what_others_do_on_the_machine_does_not_make_a_model_slow():
    started = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(6)]
    try:
        begun, clock = time.perf_counter(), metering._clock()
        count = 0
        while time.perf_counter() - begun < 1.0:
            count += 1
        elapsed, own = time.perf_counter() - begun, metering._clock() - clock
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert own < elapsed
    assert count > 0


def test_where_the_system_does_not_tell_the_wall_clock_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setattr(metering, "_WAITED", tmp_path / "nothing")
    assert metering._clock() == pytest.approx(time.perf_counter(), abs=0.1)
