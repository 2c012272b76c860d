"""A backtest as it is told, planted, for the tests of its page."""

from typing import Any

from evergreen.backtest import sentences


def saved(by: float, word: str = "surely better") -> dict[str, Any]:
    return {"saved": by, "low": by - 10, "high": by + 10, "word": word}


def one(name: str, cost: float, *, trainings: int = 3, **against: dict[str, Any]) -> dict[str, Any]:
    first = {"at": "2026-03-01T00:00:00+00:00", "action": "first model", "rule": "", "reason": "there is none before it"}
    return {
        **{"name": name, "says": f"says {name}", "is_gated": name != "always", "trainings": trainings, "promotions": 2},
        **{"cost_per_1000": cost, "low": cost - 50, "high": cost + 50},
        "against": {"rule of thumb": saved(900), "no model": saved(1200), **against},
        "events": [first | {"verdict": "hold", "stopped_by": ["baseline"], "promoted": True}],
    }


def planted_backtest() -> dict[str, Any]:
    """A backtest of four policies, of which two decided alike."""
    names = {"never": 6100.0, "monthly": 5900.0, "always": 6000.0, "contract": 5900.0, "rule of thumb": 7000.0, "no model": 7500.0}
    windows = [
        {
            **{"start": f"2026-0{month}-01T00:00:00+00:00", "end": f"2026-0{month + 1}-01T00:00:00+00:00", "rows": 1000},
            "costs": {name: cost + month for name, cost in names.items()},
            "promoted": {name: int(name != "never" or month == 3) for name in ("never", "monthly", "always", "contract")},
        }
        for month in (3, 4, 5)
    ]
    document = {
        **{"problem": "toy <b>", "question": "?", "unit": "EUR", "things": "orders", "contract": "c", "made_by": "m", "seed": 7},
        "period": {
            "first": "2026-03-01",
            "end": "2026-06-01",
            "windows": "calendar months",
            "rows": 3000,
            "clusters": 91,
            "cluster": "days",
        },
        "policies": [
            one("never", 6100.0, trainings=1),
            one("monthly", 5900.0, never=saved(200)),
            one("always", 6000.0, never=saved(100, "cannot be told apart")),
            one("contract", 5900.0, never=saved(200), always=saved(100)),
        ],
        "without": [
            one("rule of thumb", 7000.0, never=saved(-900, "surely worse")),
            one("no model", 7500.0, never=saved(-1400, "surely worse")),
        ],
        **{"constant": "always 1", "windows": windows, "sure": 0.95, "assumptions": ["Nothing is late.", "Deliveries `come`."]},
        "finding": {"is_worth_it": True, "cheapest": "monthly", "least": "monthly"},
    }
    return document | {"answer": sentences.answer(document)}
