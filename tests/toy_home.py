"""A home of the toy problem in which everything has happened once, for `make site-check`: models, a refused delivery, a backtest."""

import sys
from pathlib import Path

import pandas as pd
from commands import AHEAD, LABELLED, Home, make_home
from toy.data import day_of_orders

MONTH = 30


def furnish(root: Path) -> Path:
    """Two rounds of the command, a delivery that is refused, and a backtest; returns the site's folder."""
    home = make_home(root)
    home.deliver()
    _run(home, "run")
    home.deliver(LABELLED + MONTH, start=LABELLED, ahead=AHEAD)
    orders = day_of_orders(LABELLED + MONTH + AHEAD).drop(columns="returned")
    pd.concat([orders, orders.head()]).to_csv(home.var / "landing" / "orders" / "twice.csv", index=False)
    _run(home, "run")
    _run(home, "backtest")
    _run(home, "site")
    return home.var / "site"


def _run(home: Home, command: str) -> None:
    ended = home.evergreen_cold(command)
    if ended.code:
        raise SystemExit(f"`evergreen {command}` ended with {ended.code} on the toy problem:\n{ended.out}{ended.err}")


if __name__ == "__main__":
    sys.stdout.write(f"{furnish(Path(sys.argv[1]).resolve())}\n")
