"""A toy shop: which orders will be returned? Deliveries that depend on the day's number alone, so that everybody gets the same."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from toy.results import results_of

START = pd.Timestamp("2026-01-05", tz="UTC")
PRODUCTS = ("book", "lamp", "shoe", "sofa")
CUSTOMERS = 300
TIMES = {"orders": "ordered_at", "stock": "observed_at", "outcomes": "ordered_at"}


def day_of_orders(day: int) -> pd.DataFrame:
    """One day of the shop with everything known of it: 100 to 200 rows, and the truth about each."""
    return _day_of_orders(day).copy()


@cache
def _day_of_orders(day: int) -> pd.DataFrame:
    rng = np.random.default_rng([2026, day])
    rows = int(rng.integers(100, 201))
    customer = rng.integers(0, CUSTOMERS, rows)
    product = rng.choice(PRODUCTS, rows)
    amount = rng.integers(1, 60, rows)
    level = np.array([stock_level(day, name) for name in product])
    strength = -1.6 + 2.2 * (product == "shoe") - 1.2 * (product == "book") + 0.05 * (amount - 30) + 4 * (amount / level - 0.3)
    return pd.DataFrame(
        {
            "order_id": [f"o{day:04d}-{row:03d}" for row in range(rows)],
            "ordered_at": START + pd.Timedelta(days=day) + pd.to_timedelta(np.sort(rng.integers(8 * 60, 20 * 60, rows)), unit="min"),
            "customer_id": customer,
            "product": product,
            "amount": amount,
            "returned": rng.random(rows) < 1 / (1 + np.exp(-strength)),
        }
    )


@cache
def stock_level(day: int, product: str) -> int:
    """Pieces in the store in the morning of a day."""
    return int(np.random.default_rng([7, day, PRODUCTS.index(product)]).integers(60, 200))


def results_of_day(day: int) -> pd.DataFrame:
    """What else came of the orders of a day, in their order."""
    return _results_of_day(day).copy()


@cache
def _results_of_day(day: int) -> pd.DataFrame:
    orders = day_of_orders(day)
    return results_of(day, orders, np.array([stock_level(day, name) for name in orders["product"]]))


def write_deliveries(landing: Path, *, days: int, start_day: int = 0, period: int = 30) -> list[Path]:
    """Write what arrives for `days` days: a CSV file for each source and each period of days; customers come once."""
    written = [_write(landing, "customers", "all", _customers())]
    for first in range(start_day, start_day + days, period):
        numbers = range(first, min(first + period, start_day + days))
        orders = pd.concat([day_of_orders(day) for day in numbers], ignore_index=True)
        name = f"{numbers[0]:04d}-{numbers[-1]:04d}"
        written.append(_write(landing, "orders", name, orders.drop(columns="returned")))
        written.append(_write(landing, "stock", name, _stock(numbers)))
        results = pd.concat([results_of_day(day) for day in numbers], ignore_index=True)
        written.append(_write(landing, "outcomes", name, pd.concat([orders[["order_id", "ordered_at", "returned"]], results], axis=1)))
    return written


def read_orders(file: Path) -> pd.DataFrame:
    """One delivery of orders."""
    return pd.read_csv(file, dtype={"order_id": "str", "product": "str"}, parse_dates=["ordered_at"])


def read_stock(file: Path) -> pd.DataFrame:
    """One delivery of stock levels, observed every morning at six."""
    return pd.read_csv(file, dtype={"product": "str"}, parse_dates=["observed_at"])


def read_customers(file: Path) -> pd.DataFrame:
    """The customers, as they are now."""
    return pd.read_csv(file, dtype={"region": "str"})


def read_outcomes(file: Path) -> pd.DataFrame:
    """One delivery of outcomes: whether an order came back."""
    return pd.read_csv(file, dtype={"order_id": "str"}, parse_dates=["ordered_at"])


def _customers() -> pd.DataFrame:
    number = np.arange(CUSTOMERS)
    return pd.DataFrame({"customer_id": number, "region": np.where(number % 3 == 0, "north", "south")})


def _stock(days: range) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"product": product, "observed_at": START + pd.Timedelta(days=day, hours=6), "stock_level": stock_level(day, product)}
            for day in days
            for product in PRODUCTS
        ]
    )


def _write(landing: Path, source: str, name: str, rows: pd.DataFrame) -> Path:
    file = landing / source / f"{source}-{name}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(file, index=False)
    return file
