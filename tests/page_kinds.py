"""Every kind of page, with all that can stand on it, of the toy problem: what was planted, and one delivery that really is refused."""

from pathlib import Path
from typing import Any

import pandas as pd
from decision_records import make_record, regression_evidence, rich_record
from gate_evidence import make_evidence
from told_backtests import planted_backtest
from toy.contract import PROBLEM
from toy.data import day_of_orders
from workspaces import NOW, deliver, deliver_days, open_space

from evergreen.data.batches import Intake, ingest_one
from evergreen.data.landing import find
from evergreen.monitoring.doctor import Doctor
from evergreen.monitoring.pillars import PILLARS, Cell
from evergreen.report import quarantine
from evergreen.report.backtest import render_backtest
from evergreen.report.decision import render_decision
from evergreen.report.site import Overview, render_overview, with_override

OVERRIDE = {"person": "Ada", "reason": "known", "checks": ["leakage"], "at": "2024-02-03T04:05:06+00:00", "last_day": "2024-03-01"}
PERIODS = 5


def kinds(folder: Path) -> dict[str, str]:
    """The pages by their kind; `folder` is where the refused delivery is made."""
    refused = refused_page(folder)
    overruled = with_override(rich_record(verdict="reject", decision="d6"), {"d6": OVERRIDE})
    records = {
        "first": make_record(make_evidence(first=True), decision="first"),
        "promoted": rich_record(),
        "overruled": overruled,
        "a number": rich_record(regression_evidence(), decision="d8"),
    }
    pages = {f"decision, {name}": render_decision(record, PROBLEM, overview="../index.html") for name, record in records.items()}
    return pages | {
        "control room": render_overview(full_view(list(records.values())), PROBLEM),
        "control room, empty": render_overview(Overview(), PROBLEM),
        "quarantine": refused,
        "quarantine, on the site": quarantine.on_the_site(refused, {"source": "orders", "delivery": "cd" * 32}),
        "backtest": render_backtest(planted_backtest()),
    }


def full_view(records: list[dict[str, Any]]) -> Overview:
    """A view in which every section has something to show."""
    realized = {"rows": 900, "cost_per_1000": 10.0, "rule_of_thumb_per_1000": 12.0, "no_model_per_1000": 15.0}
    realized |= {"saved": 500.0, "saved_against_no_model": 750.0}
    publication = {"partition": "2024-01-01", "version": 7, "rows": 1000, "realized": realized}
    row = {
        "source": "orders",
        "name": "a.csv",
        "delivery": "ab" * 32,
        "outcome": "published",
        "reason": "",
        "at": "2024-02-01T03:30:00+00:00",
    }
    row |= {"newest": "2024-01-31T23:00:00+00:00", "row_count": 1200, "warnings": []}
    refused = row | {"delivery": "cd" * 32, "outcome": "quarantined", "reason": "breaks `amount` < 3", "row_count": None, "newest": None}
    facts = {"snapshot": "s", "champion": 7, "is_judged": True, "found": True, "sentence": "amount has moved."}
    signal = {"seq": 1, "window": "2024-01-31", "facts": facts | {"features": [{"feature": "amount", "is_drifted": True}]}}
    return Overview(
        champion=7,
        deliveries=[row, refused],
        decisions=records,
        publications=[publication, publication | {"partition": "2024-02-01", "realized": None}],
        made_at="2024-02-01T03:32:00+00:00",
        notices=[("hold", "Promotions are frozen."), ("bad", "It expired; run `evergreen run`.")],
        health={
            name: {pillar: [_cell("ok"), _cell(state)] for pillar in PILLARS[:4]} for name, state in (("orders", "fail"), ("stock", "warn"))
        },
        alerts=[("health", "orders is not well.", "evergreen status")],
        told=[("2024-02-01T03:32:00+00:00", "verdict", "Run `evergreen history`.")],
        signals=[signal | {"kind": "drift"}, signal | {"kind": "decay", "facts": facts | {"found": False}}],
        service=_service(),
        ahead=["Nothing waits: `evergreen retrain`."],
        backtest=planted_backtest(),
    )


def refused_page(folder: Path) -> str:
    """The page of a delivery that has some orders twice, after enough that were accepted to be held against."""
    space = open_space(folder / "refused")
    settings, problem = space.settings, space.problem
    intake = Intake(settings.root, settings.expectations, space.journal, quarantine.render, Doctor(settings.root, space.journal, problem))
    for start in range(0, 6 * PERIODS, 6):
        deliver_days(space, 6, start=start, without=("stock", "outcomes"))
    orders = pd.concat([day_of_orders(day) for day in range(6 * PERIODS, 6 * PERIODS + 6)], ignore_index=True)
    twice = pd.concat([orders, orders.head(40)], ignore_index=True).drop(columns="returned")
    deliver(space, "orders", "twice.csv", twice.assign(amount=twice["amount"] * 10))
    ready = find(settings.landing, problem, settle_seconds=0, now=NOW).ready
    judged = [ingest_one(one, problem.source(one.source), intake=intake, now=NOW) for one in ready]
    space.journal.close()
    (page,) = [one.page for one in judged if one.page]
    return page.read_text()


def _cell(state: Any) -> Cell:
    is_refused = state == "fail"
    return Cell(state, (f"`amount` is {state}",), "2024-02-01T03:30:00+00:00", "a.csv", "cd" * 32, is_refused=is_refused)


def _service() -> dict[str, Any]:
    amount, share = ({"estimate": x, "low": 0.9 * x, "high": 1.1 * x} for x in (900.0, 0.7))
    judged = {"is_judged": True, "version": 7, "by_version": {}, "cost": amount, "rule_of_thumb": amount, "auc": share, "bias": share}
    judged["saved"] = amount
    slices = [
        {"slice": "region", "value": "north", "rows": 500, **judged},
        {"slice": "region", "value": "south", "rows": 5, "is_judged": False},
    ]
    window = {
        "origin": "published",
        "version": 7,
        "versions": [],
        "realized": {"rows": 900, "slices": slices, **judged},
        "estimate": {"cost": amount, "auc": share},
    }
    points = [{"version": 7, "training_end": "2024-01-01", "age_days": 30.0, **judged}]
    return {
        "level": 0.9,
        "windows": [window | {"window": "2024-01-01"}, window | {"window": "2024-02-01", "realized": None}],
        "accuracy": {"windows": 2, "cost": 10.0, "cost_as_before": 12.0},
        "staleness": {"window_end": "2024-02-01", "points": points},
        "age": {"version": 7, "training_end": "2024-01-01", "days": 30.0, "clock": "the newest row"},
        "features": None,
    }
