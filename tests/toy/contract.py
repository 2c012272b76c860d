"""The toy problem's contract."""

from datetime import timedelta

import pandas as pd

from evergreen import policies as p
from evergreen.contract import Problem
from toy import data, features


def returned(outcomes: pd.DataFrame) -> pd.Series:
    """1 for an order that came back."""
    return outcomes["returned"].astype("int64")


def distrust_shoes(rows: pd.DataFrame) -> pd.Series:
    """What the shop does today."""
    return (rows["product"] == "shoe").astype("int64")


PROBLEM = Problem(
    name="toy",
    things="orders",
    business=p.Business(
        question="Which orders will be returned?",
        decision="Those orders are called back before they are sent.",
        owner="the shop",
        unit="EUR",
        row_cost=p.BinaryCosts(missed=20.0, false_alarm=10.0, ratio_range=(1.5, 3.0)),
        rule_of_thumb=p.RuleOfThumb(sentence="Call back whoever orders shoes.", decide=distrust_shoes),
        good_enough=0.05,
    ),
    task="binary",
    target=p.Target(name="returned", meaning="The order came back.", source="outcomes", label=returned, label_delay=timedelta(days=1)),
    sources=(
        p.Source(name="orders", key=("order_id",), time="ordered_at", read=data.read_orders),
        p.Source(name="stock", key=("product", "observed_at"), time="observed_at", read=data.read_stock),
        p.Source(name="customers", key=("customer_id",), read=data.read_customers),
        p.Source(name="outcomes", key=("order_id",), time="ordered_at", read=data.read_outcomes),
    ),
    entity="orders",
    joins=(
        p.AsOfJoin(
            source="stock",
            on={"product": "product"},
            offset=timedelta(hours=1),
            tolerance=timedelta(days=1),
            take=("stock_level",),
            min_match=0.99,
        ),
        p.LookupJoin(source="customers", on={"customer_id": "customer_id"}, take=("region",), min_match=0.99),
    ),
    prediction_lead=timedelta(hours=1),
    clock="data",
    features=("product", "amount", "stock_level"),
    slices=("region",),
    build_estimator=features.build_estimator,
    split=p.ForwardSplit(holdout_days=25, min_train_days=30),
    retraining=p.RetrainingPolicy(cooldown=timedelta(0), per_day=100),
)
