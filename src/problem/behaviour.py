"""What everybody knows about flights, as changes of a row whose effect on the model's chance of a delay must be what people expect.

The gate tries each on rows of the holdout and refuses a model that gets it wrong (docs/gate.md, check `behaviour`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from evergreen.policies import Perturbation


def fog_and_rain(X: pd.DataFrame) -> pd.DataFrame:
    """See at most a mile, and have a tenth of an inch of rain in the hour."""
    return X.assign(visib=np.minimum(X["visib"], 1.0), precip=np.maximum(X["precip"], 0.1))


def three_hours_later(X: pd.DataFrame) -> pd.DataFrame:
    """Leave three hours later, at 22:00 at the latest; delays add up in the course of a day."""
    return X.assign(sched_dep_time=np.minimum(X["sched_dep_time"] + 300, np.maximum(X["sched_dep_time"], 2200)))


def half_a_degree(X: pd.DataFrame) -> pd.DataFrame:
    """Read the instruments a little differently: half a degree warmer, a fifth of a millibar more."""
    return X.assign(temp=X["temp"] + 0.5, dewp=X["dewp"] + 0.5, pressure=X["pressure"] + 0.2)


CLAIMS = (
    Perturbation(name="Fog and rain make no flight more punctual.", change=fog_and_rain, expect="up", tolerance=0.05),
    Perturbation(name="Three hours later in the day no flight is more punctual.", change=three_hours_later, expect="up", tolerance=0.05),
    Perturbation(name="Half a degree changes next to nothing.", change=half_a_degree, expect="same", tolerance=0.05),
)
