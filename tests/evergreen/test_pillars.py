"""What is looked at besides single deliveries: how old sources are, and whether the newest rows find their partners."""

from datetime import timedelta

import pandas as pd
import pytest
from toy.data import day_of_orders
from workspaces import NOW, changed, deliver, deliver_days, ingest, with_join, with_source

from evergreen import journal as tables
from evergreen import retraining
from evergreen.causes import find_alerts
from evergreen.contract import Problem
from evergreen.data.batches import Intake, Judged, ingest_one
from evergreen.data.landing import active, find
from evergreen.data.snapshots import take_snapshot
from evergreen.errors import JoinError
from evergreen.monitoring.doctor import Doctor
from evergreen.monitoring.pillars import PILLARS, Cell, accepted, failing, history, look
from evergreen.policies import AlertPolicy
from evergreen.quoting import withheld
from evergreen.report.contract import describe
from evergreen.revocations import restore, revoke
from evergreen.status import look_at_health
from evergreen.watches import HealthPolicy
from evergreen.workspace import Workspace

LENIENT = with_join(1, min_match=0.5)
COLUMNS = ["order_id", "ordered_at", "customer_id", "product", "amount"]


def under(space: Workspace, problem: Problem) -> Workspace:
    return Workspace(space.settings, problem, space.journal)


def checked(space: Workspace) -> list[Judged]:
    """Judge what lies in the landing folders, with a check-up of each."""
    settings, problem = space.settings, space.problem
    doctor = Doctor(settings.root, space.journal, problem)
    intake = Intake(settings.root, settings.expectations, space.journal, lambda refusal: refusal.reason, doctor)
    ready = find(settings.landing, problem, settle_seconds=0, now=NOW).ready
    return [ingest_one(one, problem.source(one.source), intake=intake, now=NOW) for one in ready]


def wrong(space: Workspace) -> list[tuple[str, str, Cell]]:
    """What fails of accepted data."""
    return failing(space.journal, accepted(space.journal, space.problem))


@pytest.fixture
def season(empty_space: Workspace) -> Workspace:
    """Two windows of thirty days, all of whose orders find their customer."""
    deliver_days(empty_space, 60)
    ingest(empty_space)
    return under(empty_space, LENIENT)


def with_strangers(space: Workspace, share: int) -> None:
    """A third window, in which one of so many orders is by a customer nobody knows."""
    deliver_days(space, 30, start=60, without=("orders",))
    orders = pd.concat([day_of_orders(day) for day in range(60, 90)], ignore_index=True)[COLUMNS].sort_values("ordered_at")
    strange = orders.assign(customer_id=orders["customer_id"].where(pd.Series(range(len(orders))).to_numpy() % share > 0, -1))
    deliver(space, "orders", "strange.csv", strange)
    ingest(space)


def states(space: Workspace) -> dict[str, dict[str, str]]:
    known = history(space.journal, space.problem)
    return {name: {pillar: own[-1].state for pillar, own in pillars.items() if own} for name, pillars in known.items()}


def test_what_is_well_is_kept_once_for_each_state(season: Workspace):
    found = look_at_health(season, NOW)
    assert [(one.pillar, one.rule, one.column, one.state) for one in found if one.pillar == "joins"] == [
        ("joins", "match rate", "stock", "ok"),
        ("joins", "match rate", "customers", "ok"),
        ("joins", "match rate", "outcomes", "ok"),
    ]
    rows = season.journal.rows(tables.checkups)
    assert [(row["source"], row["name"]) for row in rows] == [(name, "look") for name in ("orders", "stock", "customers", "outcomes")]
    look_at_health(season, NOW + timedelta(days=3))  # by the data's clock nothing has changed
    assert season.journal.rows(tables.checkups) == rows
    assert states(season)["customers"] == {"joins": "ok"}


def test_newest_rows_that_find_no_partner_are_found_told_and_kept_from_models(season: Workspace):
    assert retraining.prepare(season, take_snapshot(season.journal, season.problem)).frame.orphans == 0
    with_strangers(season, 1)
    (found,) = [one for one in look_at_health(season, NOW) if one.state == "fail"]
    assert (found.column, found.value, found.threshold) == ("customers", 0.0, 0.5)
    assert found.sentence == "0.0% of the newest orders find their partner; the contract wants 50.0%; 100.0% did before"
    (told,) = [one for one in find_alerts(season, NOW) if one.kind == "health"]
    assert told.what.startswith("The data of customers are not well (joins): 0.0% of the newest orders find their partner")
    with pytest.raises(JoinError, match=r"customers: 0.0% of the newest orders .* No model was trained"):
        retraining.prepare(season, take_snapshot(season.journal, season.problem))


def test_a_match_rate_that_falls_but_is_high_enough_warns_and_stops_nothing(season: Workspace):
    with_strangers(season, 5)
    (found,) = [one for one in look_at_health(season, NOW) if one.state == "warn"]
    assert (found.column, round(found.value or 0, 1)) == ("customers", 0.8)
    assert [one for one in find_alerts(season, NOW) if one.kind == "health"] == []
    retraining.prepare(season, take_snapshot(season.journal, season.problem))


def test_a_source_that_is_late_fails_and_one_in_time_does_not(season: Workspace):
    deliver_days(season, 30, start=60, without=("stock", "outcomes"))
    ingest(season)
    without_stock = changed(LENIENT, joins=LENIENT.joins[1:], features=("product", "amount"))
    late = under(season, with_source("stock", problem=without_stock, max_age=timedelta(days=20)))
    look_at_health(late, NOW)
    assert {name: known.get("freshness") for name, known in states(late).items()} == {
        **{"orders": "unjudged", "stock": "fail", "customers": None, "outcomes": "unjudged"}
    }
    assert wrong(late) == []  # the alert `late` tells it
    assert [one.kind for one in find_alerts(late, NOW)] == ["late"]


def test_rows_that_cannot_be_joined_are_not_well_until_they_can_be(season: Workspace):
    look_at_health(season, NOW)
    assert states(season)["customers"]["joins"] == "ok"
    with_strangers(season, 1)
    strict = under(season, with_join(1, min_match=0.99))
    (found,) = [one for one in look_at_health(strict, NOW) if one.pillar == "joins"]
    assert (found.column, found.state) == ("customers", "fail")
    assert withheld(found.sentence).startswith("nothing can be joined: Join with customers: ")
    assert [(source, pillar) for source, pillar, _ in wrong(strict)] == [("customers", "joins")]
    told = next(one.what for one in find_alerts(strict, NOW) if one.kind == "health")
    assert told.startswith("The data of customers are not well (joins)")
    with pytest.raises(JoinError, match="Join with customers"):
        retraining.prepare(strict, take_snapshot(strict.journal, strict.problem))
    lenient = under(season, with_join(1, min_match=0.0))
    look_at_health(lenient, NOW)
    assert states(lenient)["customers"]["joins"] in {"ok", "warn"}
    assert wrong(lenient) == []


def test_the_things_themselves_are_well_again_when_none_comes_twice(season: Workspace):
    error = JoinError("Join with orders: 2 rows share their key.").of("orders")
    look(season.journal, season.problem, error, snapshot="s", now=NOW)
    assert states(season)["orders"]["joins"] == "fail"
    look_at_health(season, NOW)
    assert states(season)["orders"]["joins"] == "ok"
    assert wrong(season) == []


def test_nothing_is_looked_at_before_every_source_has_delivered(empty_space: Workspace):
    assert look_at_health(empty_space, NOW) == []
    assert empty_space.journal.rows(tables.checkups) == []


def test_a_refused_delivery_fails_in_the_history_and_is_told_as_quarantined_only(season: Workspace):
    deliver(season, "stock", "short.csv", pd.DataFrame({"product": ["shoe"]}))
    checked(season)
    cells = history(season.journal, season.problem)["stock"]
    assert list(cells) == list(PILLARS)
    assert [(one.state, one.name, one.is_refused) for one in cells["schema"]] == [("fail", "short.csv", True)]
    assert {one.kind for one in find_alerts(season, NOW)} == {"quarantine"}


def test_what_fails_and_is_published_all_the_same_is_told(season: Workspace):
    told_only = under(season, with_source("stock", problem=LENIENT, health=HealthPolicy(refuse=())))
    checked(told_only)
    late = pd.DataFrame({"product": ["shoe"], "observed_at": ["2026-06-30T00:00:00Z"], "stock_level": [3], "more": [1]})
    deliver(told_only, "stock", "more.csv", late.drop(columns="stock_level").assign(stock_level="many"))
    (judged,) = [one for one in checked(told_only) if one.name == "more.csv"]
    assert judged.outcome == "published"
    (told,) = [one for one in find_alerts(told_only, NOW) if one.kind == "health"]
    assert "The data of stock are not well (schema): `stock_level` is text now; it was number" in told.what
    silent = under(told_only, changed(told_only.problem, alerts=AlertPolicy(on=("quarantine",))))
    assert [one for one in find_alerts(silent, NOW) if one.kind == "health"] == []


def test_what_a_person_has_taken_back_is_told_no_more(season: Workspace):
    told_only = under(season, with_source("stock", problem=LENIENT, health=HealthPolicy(refuse=())))
    checked(told_only)
    for day, more in ((28, {"more": [1]}), (30, {"other": [1]})):
        late = {"product": ["shoe"], "observed_at": [f"2026-06-{day}T00:00:00Z"], "stock_level": ["many"], **more}
        deliver(told_only, "stock", f"more-{day}.csv", pd.DataFrame(late))
        assert [one.outcome for one in checked(told_only) if one.name == f"more-{day}.csv"] == ["published"]

    def told() -> list[str]:
        return [cell.name for source, pillar, cell in wrong(told_only) if (source, pillar) == ("stock", "schema")]

    words = {"root": told_only.settings.root, "words": {"reason": "text", "person": "ann"}}
    last, first = (active(told_only.journal, "stock")[place]["batch"] for place in (-1, -2))
    assert told() == ["more-30.csv"]
    revoke(told_only.journal, last, **words)
    assert told() == ["more-28.csv"]
    revoke(told_only.journal, first, **words)
    assert told() == []
    assert [one for one in find_alerts(told_only, NOW) if one.kind == "health"] == []
    restore(told_only.journal, last, **words)
    assert told() == ["more-30.csv"]


def test_the_contract_says_when_a_delivery_is_refused():
    told = dict(describe(LENIENT))["When a delivery is refused"]
    assert told[1] == "Where a column of the last accepted delivery is gone, or of another kind."
    assert len(told) == 6
    two = dict(describe(with_source("stock", health=HealthPolicy(refuse=()))))["When a delivery is refused"]
    assert two[1].startswith("orders, customers and outcomes: Where a column")
    assert two[-1] == "stock: How it differs is told only."
