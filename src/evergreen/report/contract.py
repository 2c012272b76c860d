"""The contract as sentences, for the people who must agree with it; nothing is said that its values do not say."""

from __future__ import annotations

import inspect
from datetime import timedelta

from evergreen import policies as p
from evergreen.contract import Problem
from evergreen.report.pace import pace
from evergreen.report.watched import watched
from evergreen.report.words import counted, entity_name, listed, percent, sentence, span
from evergreen.watches import HealthPolicy

ALERTS = {
    "quarantine": "a delivery in quarantine that nothing has taken the place of",
    "stray": "a file in the landing folders that cannot be judged",
    "late": "a source that lies farther behind than it may",
    "missing": "a source that has never delivered while others have",
    "verdict": "a version that the gate holds or rejects",
    "budget": "an error budget that is spent",
    "silence": "a loop that gives no sign of life while two hours of the schedule pass",
    "failure": "a run that failed",
    "drift": "data that drift",
    "decay": "a model that decays",
    "refusal": "a champion that a server would not serve",
    "health": "accepted data that are not well",
    "revoked": "a champion that has learnt from what was taken back",
    "bias": "a mean prediction that is off",
    "estimate": "predictions that are expected to cost too much",
    "features": "predictions over HTTP from other features than the data have",
}
TASKS = {
    "binary": "The answer is yes or no.",
    "multiclass": "The answer is one of several classes.",
    "regression": "The answer is a number.",
}


def describe(problem: Problem) -> list[tuple[str, list[str]]]:
    """Headed groups of plain sentences, in the order in which a newcomer asks."""
    groups = [
        ("Question", _question(problem)),
        ("What a mistake costs", _costs(problem)),
        ("Where the data come from", [_source(problem, source) for source in problem.sources]),
        ("When a delivery is refused", _healths(problem)),
        ("How they are merged", [_join(problem, join) for join in problem.joins]),
        ("What the model may see", _sight(problem)),
        ("What it is judged on", _judged_on(problem)),
        ("How sure we must be", _sureness(problem)),
        ("When it retrains", _retraining(problem)),
        ("What is watched in service", watched(problem)),
        ("How it must react", _behaviour(problem)),
        ("What it may take", _limits(problem)),
        ("What people are told of", _alerts(problem)),
    ]
    return [(heading, sentences) for heading, sentences in groups if sentences]


def _question(problem: Problem) -> list[str]:
    business, target = problem.business, problem.target
    lead = problem.prediction_lead
    when = f"{span(lead)} before its time ({problem.time})" if problem.time and lead else "with what is known at that moment"
    return [
        business.question,
        f"What is done with the answer: {sentence(business.decision)}",
        f"It belongs to: {sentence(business.owner)}",
        f"“{target.name}” means: {sentence(target.meaning)} {TASKS[problem.task]}",
        f"A prediction for one {entity_name(problem)} is made {when}.",
    ]


def _costs(problem: Problem) -> list[str]:
    business, cost = problem.business, problem.business.row_cost
    thing = entity_name(problem)
    if isinstance(cost, p.BinaryCosts):
        lines = [
            f"To miss one that comes true costs {cost.missed:,g} {business.unit}, a false alarm {cost.false_alarm:,g} {business.unit};"
            " to be right costs nothing.",
            f"So it pays to act as soon as the chance is {percent(cost.threshold)} or more.",
        ]
        if cost.ratio_range:
            low, high = cost.ratio_range
            lines.append(
                f"Nobody is sure of these amounts: a miss may be worth {low:g} to {high:g} false alarms. Models are compared over that"
                " whole range, so that no verdict hangs on one guess."
            )
    else:
        lines = [f"The cost of one {thing} is worked out by a function, in {business.unit}: {_said_by(cost)}"]
    return [
        *lines,
        f"Without a model, people follow a rule of thumb: {sentence(business.rule_of_thumb.sentence)}",
        f"The first model must save at least {percent(business.good_enough)} of what that rule costs.",
    ]


def _source(problem: Problem, source: p.Source) -> str:
    what = f"{source.name}: one row for each {listed(source.key, 'and')}"
    if source.time is None:
        what += ", a reference table"
    elif source.name == problem.entity:
        what += f", which happens at {source.time}; it names what is predicted"
    else:
        what += f", known from {source.time} on"
    if source.name == problem.target.source:
        what += "; it tells the outcome"
        what += f", {span(problem.target.label_delay)} afterwards" if problem.target.label_delay else ""
    low, high = source.rows
    age = f", its newest row is at most {span(source.max_age)} old" if source.max_age else ""
    return f"{what}. A delivery has {low:,} to {high:,} rows{age}."


def _healths(problem: Problem) -> list[str]:
    """Each health policy once, with the sources that it holds for."""
    policies = dict[HealthPolicy, list[str]]()
    for source in problem.sources:
        policies.setdefault(source.health, []).append(source.name)
    lines = ["Where it breaks an expectation that its suite calls critical."]
    for policy, names in policies.items():
        whose = f"{listed(names, 'and')}: " if len(policies) > 1 else ""
        lines += [f"{whose}{line}" for line in _health(policy)]
    return lines


def _health(policy: HealthPolicy) -> list[str]:
    """How far a delivery may differ from those before it."""
    low, high = map(percent, policy.day_range)
    rules = {
        "schema": "Where a column of the last accepted delivery is gone, or of another kind.",
        "volume": f"Where {counted(policy.days, 'day')} have less than {low} or more than {high} of their weekday's rows, or one has none.",
        "distribution": (
            f"Where a column, or what it misses, differs by {policy.min_distance:g} (PSI {policy.min_psi:g}) from the last one and by "
            f"{policy.times_usual:g} times what two in turn ever did; where more than {percent(policy.max_unseen)} of the rows have a "
            f"category that was never seen; where a number stands still {policy.stuck_times:g} times as long as ever. "
            f"This is judged from {policy.history} accepted deliveries, of {policy.history_days} days, on."
        ),
        "duplicates": "Where two rows have the same key.",
    }
    lines = [rules[pillar] for pillar in rules if pillar in policy.refuse]
    return [*lines, "Being unlike those before it refuses nothing that a person accepts." if lines else "How it differs is told only."]


def _join(problem: Problem, join: p.AsOfJoin | p.LookupJoin) -> str:
    by = listed((here if here == there else f"{here} = {there}" for here, there in join.on.items()), "and")
    how = "the one row of the reference table"
    if isinstance(join, p.AsOfJoin):
        how = (
            f"the newest row known {span(join.offset)} before the {entity_name(problem)}, if at most {span(join.tolerance)} older than that"
        )
    floor = "" if join.min_match == 0 else f" At least {percent(join.min_match)} of the rows must find theirs, else nothing is built."
    if join.min_match == 1:
        floor = " Every row must find its own, else nothing is built."
    return f"{join.source}, by {by}: {how}. It adds {listed(join.take, 'and')}.{floor}"


def _sight(problem: Problem) -> list[str]:
    lines = [f"{len(problem.features)} columns: {listed(problem.features, 'and')}."]
    if problem.time:
        lines.append(f"Nothing that was observed later than {span(problem.prediction_lead)} before the {entity_name(problem)}.")
    if problem.forbidden:
        lines.append(f"Never, because it tells the answer or is known too late: {listed(problem.forbidden, 'or')}.")
    if problem.trusted_types:
        lines.append(f"Types inside the model that a person has reviewed: {listed(problem.trusted_types, 'and')}.")
    return lines


def _judged_on(problem: Problem) -> list[str]:
    split, gate = problem.split, problem.gate
    if isinstance(split, p.ForwardSplit):
        lines = [
            f"The newest {counted(split.holdout_days, 'day')} with known outcomes, which no compared model has trained on;"
            f" training needs at least {counted(split.min_train_days, 'day')} before them.",
            f"Outcomes count up to the last day of which {percent(problem.target.settled_share)} of the {problem.things} have one.",
        ]
        if problem.embargo:
            lines.append(f"Between training and those days {span(problem.embargo)} is left out, so that nothing reaches across.")
    else:
        lines = [f"{percent(split.holdout_share)} of all {split.group} values, drawn once by lot, which no model ever trains on."]
    together = {
        "day": "Rows of the same day count as one piece of evidence: they share their luck.",
        "row": "Every row counts as a piece of evidence of its own.",
    }
    lines.append(together.get(gate.cluster, f"Rows with the same {gate.cluster} count as one piece of evidence: they share their luck."))
    if problem.slices:
        lines.append(f"Cost is also looked at by {listed(problem.slices, 'and')}: a model may not be good on average only.")
    return lines


def _sureness(problem: Problem) -> list[str]:
    gate = problem.gate
    unit, thing = problem.business.unit, entity_name(problem)
    constant = {"binary": "always yes", "multiclass": "always the same class", "regression": "always the mean"}[problem.task]
    margin = f"{percent(gate.margin_share)} of what the best constant answer costs (such as “{constant}”)"
    if gate.margin:
        margin = f"{gate.margin:,g} {unit} for one {thing}"
    least = [f"{gate.min_rows:,} rows"]
    least += [f"{gate.min_clusters:,} pieces of evidence"] if gate.cluster != "row" else []
    least += [f"{gate.min_events:,} rows of each outcome"] if problem.task != "regression" else []
    return [
        f"The accepted chance of promoting a worse model is {percent(gate.alpha_per_year)} a year, shared by"
        f" {counted(gate.gates_per_year, 'decision')}.",
        f"Worse means: by more than {margin}.",
        f"The first model must beat the rule of thumb, with a chance of at most {percent(gate.alpha_first)} of being wrong.",
        f"No verdict on less than {listed(least, 'or')}.",
        "When there is not enough evidence nothing is promoted: the decision waits, and says what would settle it.",
    ]


def _retraining(problem: Problem) -> list[str]:
    policy = problem.retraining
    lines = ["Whenever it is run and there is something new.", *_by_itself(policy), *filter(None, [pace(problem)])]
    lines.append(f"Each recipe is tried on {policy.folds} earlier stretches of the training data first; the seed is {policy.seed}.")
    if problem.search_space is not None:
        lines.append(f"When tuning is asked for, {counted(policy.tuning_iterations, 'setting')} of the parameters are tried.")
    return lines


def _by_itself(policy: p.RetrainingPolicy) -> list[str]:
    if not policy.on:
        return ["Never by itself: a person must ask for it."]
    occasions = {
        "schedule": _schedule(policy.cron),
        "data": "whenever there is something new to learn from",
        **{kind: f"when {kind} was seen in {policy.debounce[0]} of {policy.debounce[1]} windows" for kind in ("drift", "decay")},
    }
    again = f", not within {span(policy.cooldown)} of the one before" if policy.cooldown else ""
    return [
        f"By itself, where the platform is up: {listed([occasions[kind] for kind in policy.on], 'and')}.",
        f"At most {counted(policy.per_day, 'training')} in 24 hours begin by themselves{again}, and none while a source is stale.",
    ]


def _behaviour(problem: Problem) -> list[str]:
    return [sentence(claim.name) for claim in problem.behaviour] or ["Nothing is declared, so the gate tries nothing."]


def _limits(problem: Problem) -> list[str]:
    cost, serving = problem.cost, problem.serving
    lines = [
        f"At most {span(timedelta(seconds=cost.max_predict_seconds))} for a batch of predictions.",
        f"At most {cost.max_model_megabytes:,g} MB for a stored model, {cost.max_memory_megabytes:,g} MB of memory to predict with it, and "
        f"{cost.max_load_seconds:,g} s to load it.",
        f"An answer to one row within {cost.max_one_row_milliseconds:,g} ms, 99 times of 100; "
        f"a batch at {cost.min_rows_per_second:,g} rows a second or faster.",
        f"A model that takes more than {problem.gate.costlier_ratio:g} times what today's takes must be better, not just no worse.",
        f"Predictions are made {serving.chunk_rows:,} rows at a time.",
    ]
    if serving.carry:
        lines.append(f"A published prediction also carries {listed(serving.carry, 'and')}.")
    return lines + _online(problem)


def _online(problem: Problem) -> list[str]:
    policy = problem.online
    if policy is None:
        return ["Nothing is predicted over HTTP."]
    unlogged = "is answered without" if policy.log == "drop" else "is refused"
    return [
        f"Over HTTP at most {policy.max_rows:,} rows are predicted at once, within {span(policy.deadline)} or not at all.",
        f"Where the log of these predictions cannot keep up, whoever asks {unlogged}.",
    ]


def _alerts(problem: Problem) -> list[str]:
    policy = problem.alerts
    if not policy.on:
        return ["Of nothing: who wants to know must look."]
    again = (
        f"The same cause is told again after {span(policy.cooldown)}."
        if policy.cooldown
        else "Each is told by every run, for as long as it holds."
    )
    return [f"{sentence(listed((ALERTS[kind] for kind in policy.on), 'and').capitalize())}", again]


def _schedule(cron: str) -> str:
    match cron.split():
        case [minute, hour, "*", "*", "*"] if minute.isdigit() and hour.isdigit():
            return f"every day at {int(hour):02}:{int(minute):02} UTC"
    return f"on the schedule “{cron}” (minute, hour, day, month, weekday)"


def _said_by(function: object) -> str:
    summary = (inspect.getdoc(function) or "").partition("\n")[0]
    return sentence(summary or getattr(function, "__name__", repr(function)))
