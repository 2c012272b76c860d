"""A registered model is MLflow's: whoever has MLflow, and nothing of ours, loads it and gets what we published."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[2]
STOCK_CLIENT = """
import sys
import importlib.util
sys.path = [place for place in sys.path if place not in sys.argv[4:]]
assert importlib.util.find_spec("evergreen") is None
assert importlib.util.find_spec("toy") is None
import mlflow, pandas
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.sklearn.load_model("models:/toy@champion")
rows = pandas.read_parquet(sys.argv[2])
rows.assign(decision=model.predict(rows), probability=model.predict_proba(rows)[:, 1]).to_parquet(sys.argv[3])
"""


def test_mlflows_own_client_loads_the_champion_and_predicts_what_was_published(two_months, tmp_path: Path):
    home, rows, out = two_months.home, tmp_path / "rows.parquet", tmp_path / "out.parquet"
    published = home.published().set_index("order_id")
    orders = pd.concat(pd.read_csv(path, parse_dates=["ordered_at"]) for path in (home.var / "landing" / "orders").iterdir())
    orders = orders.drop_duplicates("order_id").set_index("order_id").loc[published.index]
    stock = pd.concat(pd.read_csv(path, parse_dates=["observed_at"]) for path in (home.var / "landing" / "stock").iterdir())
    levels = stock.assign(day=stock["observed_at"].dt.floor("D")).drop_duplicates(["product", "day"])
    known = orders.assign(day=orders["ordered_at"].dt.floor("D")).reset_index().merge(levels, on=["product", "day"])
    known[["product", "amount", "stock_level"]].to_parquet(rows)
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "EVERGREEN_", "MLFLOW_TRACKING"))}
    subprocess.run(
        [sys.executable, "-I", "-c", STOCK_CLIENT, f"sqlite:///{home.var / 'mlflow.db'}", rows, out, ROOT, ROOT / "src"],
        cwd=tmp_path,
        env=bare,
        check=True,
        timeout=120,
    )
    said = pd.read_parquet(out)
    expected = published.loc[known["order_id"]]
    assert len(said) == len(published)
    np.testing.assert_array_equal(said["decision"], expected["decision"])
    np.testing.assert_allclose(said["probability"], expected["probability"], rtol=0, atol=1e-12)
    assert home.evergreen("reconcile").code == 0
