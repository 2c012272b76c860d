"""The example in docs/your-problem.md is a whole problem: who copies it has something that runs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "your-problem.md").read_text()


def written_down(folder: Path) -> None:
    """What the page says to write: the four files, and the suites (of two of them it says no more than that they must be there)."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    _, *parts = re.split(r"^# (src/problem/\w+\.py)\n", code, flags=re.MULTILINE)
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "src" / "problem" / "__init__.py").touch()
    (suite,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    first, *_ = json.loads(suite)["expectations"]
    (folder / "expectations").mkdir()
    for name in ("orders", "outcomes", "training_data"):
        known = first if name == "training_data" else {**first, "kwargs": {"column": "returned"}}
        content = json.loads(suite) if name == "orders" else {"name": name, "expectations": [known]}
        (folder / "expectations" / f"{name}.json").write_text(json.dumps(content))


def delivered(landing: Path) -> None:
    """Two weeks of orders, in local times over which the clocks change, and what became of them."""
    rng = np.random.default_rng(0)
    at = (pd.Timestamp("2026-03-20", tz="UTC") + pd.to_timedelta(np.arange(400), unit="h")).tz_convert("Europe/Berlin")
    product, amount = rng.choice(["shoe", "book"], 400), rng.integers(5, 60, 400)
    orders = pd.DataFrame({"order_id": [f"o{number}" for number in range(400)], "at": at, "product": product, "amount": amount})
    returned = rng.random(400) < np.where(product == "shoe", 0.7, 0.1)
    outcomes = orders[["order_id"]].assign(at=at + pd.Timedelta(days=14), returned=returned)
    for name, rows in {"orders": orders, "outcomes": outcomes}.items():
        (landing / name).mkdir(parents=True)
        rows.to_csv(landing / name / "march.csv", index=False)


def test_the_pages_example_can_be_copied_and_passes_the_check(tmp_path: Path):
    written_down(tmp_path)
    delivered(tmp_path / "var" / "landing")
    places = [str(tmp_path / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-c", "from flows.cli import main; main()", "contract", "check"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines() if line.strip()] == ["ok"] * 11
    assert "orders 400 rows, outcomes 400 rows" in done.stdout
