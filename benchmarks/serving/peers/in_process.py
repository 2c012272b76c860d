"""`in_process.py ROWS:CALLS ...`: microseconds of a call of the model with no server around it, as JSON."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path

from loading import Champion


def main() -> None:
    """Time and print."""
    champion, row = Champion(), json.loads(Path(os.environ["BENCH_SAMPLE"]).read_text())["row"]
    told = {}
    for rows, calls in (map(int, one.split(":")) for one in sys.argv[1:]):
        columns, taken = {name: [value] * rows for name, value in row.items()}, []
        for _ in range(calls):
            began = time.perf_counter()
            champion.answer(columns)
            taken.append(time.perf_counter() - began)
        told[rows] = 1e6 * statistics.median(taken)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
