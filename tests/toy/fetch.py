"""Where the toy shop's deliveries come from: the pointer is the number of days that are over."""

from pathlib import Path

from toy.data import write_deliveries

AHEAD = 10


def fetch(landing: Path, pointer: str) -> list[Path]:
    """Everything known after so many days, in months of thirty, and the orders and stock of the days after them."""
    days = int(pointer)
    written = write_deliveries(landing, days=days)
    ahead = write_deliveries(landing, start_day=days, days=AHEAD, period=AHEAD)
    for path in ahead:
        if path.parent.name == "outcomes":
            path.unlink()
    return sorted({path for path in (*written, *ahead) if path.exists()})
