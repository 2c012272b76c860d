"""The same registered model for every peer, and a frame made in the quickest way that we know."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io

WARM_UP = (1, 1, 64)


class Champion:
    """The model of the folder `BENCH_MODEL`; `BENCH_SAMPLE` has its types and a row for warming up, as Evergreen's worker does."""

    def __init__(self) -> None:
        folder = Path(os.environ["BENCH_MODEL"])
        sys.path.insert(0, str(folder / "code"))
        file = folder / "model.skops"
        self.estimator = skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))
        sample = json.loads(Path(os.environ["BENCH_SAMPLE"]).read_text())
        self.types: dict[str, str] = sample["types"]
        for count in WARM_UP:
            self.answer({name: [value] * count for name, value in sample["row"].items()})

    def answer(self, columns: Mapping[str, Sequence[Any]]) -> tuple[list[int], list[float]]:
        """Decision and probability of each row, in the order of the rows; None is a missing value."""
        frame = pd.DataFrame({name: _array(columns[name], dtype) for name, dtype in self.types.items()}, copy=False)
        probability = self.estimator.predict_proba(frame)[:, 1]
        return (probability >= self.estimator.threshold).astype(int).tolist(), probability.tolist()


def _array(values: Sequence[Any], dtype: str) -> Any:
    return pd.array(values, dtype="str") if dtype == "str" else np.array(values, dtype=dtype)
