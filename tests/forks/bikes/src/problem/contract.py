"""How many bikes will be hired at each station on a day, and what it costs to be wrong."""

from datetime import timedelta

from evergreen.contract import Problem
from evergreen.policies import Business, ForwardSplit, RuleOfThumb, Source, Target
from problem import data, features

PROBLEM = Problem(
    name="bikes",
    things="station days",
    business=Business(
        question="How many bikes will be hired at each station tomorrow?",
        decision="Put so many bikes there in the evening.",
        owner="the drivers of the vans",
        unit="EUR",
        row_cost=data.price_of_error,
        rule_of_thumb=RuleOfThumb(sentence="Forty bikes, everywhere and always.", decide=data.forty_bikes),
        good_enough=0.05,
    ),
    task="regression",
    target=Target(name="hired", meaning="bikes hired on that day", source="hires", label=data.bikes_hired, label_delay=timedelta(days=1)),
    sources=(
        Source(name="stations", key=("station_day",), time="at", read=data.read_stations),
        Source(name="hires", key=("station_day",), time="at", read=data.read_hires),
    ),
    entity="stations",
    prediction_lead=timedelta(0),
    features=("station", "degrees", "weekday", "holiday"),
    slices=("station",),
    build_estimator=features.build_estimator,
    split=ForwardSplit(holdout_days=30, min_train_days=30),
)
