"""The flights problem: what is asked, what a wrong answer costs, where the data come from, and how sure one must be.

This page is meant to be read by the people who must trust the model, programmers or not. Amounts are in US dollars.
"""

from datetime import timedelta

from evergreen.contract import Problem
from evergreen.limits import OnlinePolicy
from evergreen.policies import AsOfJoin, BinaryCosts, Business, ForwardSplit, GatePolicy, LookupJoin
from evergreen.policies import RetrainingPolicy, RuleOfThumb, ServingPolicy, Source, Target
from problem import behaviour, data, features

PROBLEM = Problem(
    name="flight-delays",
    things="flights",
    business=Business(
        question="Which departures will leave at least 15 minutes late, or be cancelled?",
        decision="Two hours before departure, warn the passengers of a flight and rebook tight connections, or leave it as it is.",
        owner="Operations control, New York airports",
        unit="USD",
        # A delay nobody was warned of costs 50, a needless warning 10. Nobody is sure: a delay may be worth 3 to 8 warnings.
        row_cost=BinaryCosts(missed=50.0, false_alarm=10.0, ratio_range=(3.0, 8.0)),
        rule_of_thumb=RuleOfThumb(sentence="Warn for every departure from 15:00 on.", decide=data.warn_in_the_afternoon),
        good_enough=0.05,  # the first model must save at least 5% of what the rule of thumb costs
    ),
    task="binary",
    target=Target(
        name="late",
        meaning="the flight left at least 15 minutes late, or never",
        source="outcomes",
        label=data.label_late,
        label_delay=timedelta(days=1),
    ),
    # The thing to predict is a flight; a prediction is made two hours before its scheduled departure.
    entity="schedule",
    prediction_lead=timedelta(hours=2),
    # Schedule and weather come a month ahead together, outcomes when their month is over: no more than one file behind, or one is missing.
    sources=(
        Source(
            name="schedule",
            key=("flight_id",),
            time="scheduled_at",
            read=data.read_schedule,
            max_age=timedelta(days=14),
            rows=(20_000, 40_000),
        ),
        Source(
            name="weather",
            key=("origin", "observed_at"),
            time="observed_at",
            read=data.read_weather,
            max_age=timedelta(days=14),
            rows=(1_500, 3_000),
        ),
        Source(
            name="outcomes",
            key=("flight_id",),
            time="recorded_at",
            read=data.read_outcomes,
            max_age=timedelta(days=45),
            rows=(20_000, 40_000),
        ),
        Source(name="planes", key=("tailnum",), read=data.read_planes, rows=(1_000, 20_000)),
        Source(name="airports", key=("faa",), read=data.read_airports, rows=(1_000, 20_000)),
        Source(name="airlines", key=("carrier",), read=data.read_airlines, rows=(5, 1_000)),
    ),
    joins=(
        # The weather at the airport as last observed two hours before departure, at most six hours older than that.
        AsOfJoin(
            source="weather",
            on={"origin": "origin"},
            offset=timedelta(hours=2),
            tolerance=timedelta(hours=6),
            take=("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"),
            min_match=0.95,
        ),
        LookupJoin(source="planes", on={"aircraft": "tailnum"}, take=("built", "seats"), min_match=0.70),
        LookupJoin(source="airports", on={"dest": "faa"}, take=("lat", "lon"), min_match=0.95),
        LookupJoin(source="airlines", on={"carrier": "carrier"}, take=("airline",), min_match=1.0),
    ),
    features=(
        *("carrier", "origin", "dest", "distance", "sched_dep_time", "weekday"),
        *("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"),
        *("built", "seats", "lat", "lon"),
    ),
    # Known only afterwards. The tail number is missing only for cancelled flights: even its absence tells the answer.
    forbidden=("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "tailnum"),
    slices=("origin", "airline"),
    build_estimator=features.build_estimator,
    search_space=features.search_space,
    split=ForwardSplit(holdout_days=30, min_train_days=60),
    gate=GatePolicy(cluster="date", alpha_per_year=0.10, gates_per_year=12, margin_share=0.02),
    clock="data",  # the year 2013 is played again: what is late is late against its own newest rows
    retraining=RetrainingPolicy(cron="30 3 * * *", cooldown=timedelta(0), per_day=24, folds=3, seed=2013),
    serving=ServingPolicy(carry=("origin", "dest", "carrier")),
    online=OnlinePolicy(),  # and single flights are answered over HTTP
    behaviour=behaviour.CLAIMS,
)
