"""What is watched of a model in service, as sentences of the contract."""

from __future__ import annotations

from evergreen.contract import Problem
from evergreen.report.words import counted, percent


def watched(problem: Problem) -> list[str]:
    """Drift, decay, and how good predictions are, with every floor."""
    return [*_changes(problem), *_performance(problem)]


def _changes(problem: Problem) -> list[str]:
    drift, decay = problem.retraining.drift, problem.retraining.decay
    rows = f"the newest {counted(drift.days, 'day')} of rows are" if problem.time else "the rows that wait to be predicted are"
    outcomes = f"the newest {counted(decay.days, 'day')} with known outcomes" if problem.time else "all rows with known outcomes"
    times = "" if drift.times_usual == 1 else f"{drift.times_usual:g} times "
    usual = f", and by more than {times}what neighbouring windows do" if drift.times_usual else ""
    return [
        f"Drift: {rows} held against windows as long of what the model has learnt from. A column has drifted when it differs by"
        f" {percent(drift.min_distance)} of the rows or more (and a PSI of {drift.min_psi:g}) from the most similar window{usual}."
        f" Drift is {counted(drift.min_features, 'such column')} or more.",
        f"Decay: {outcomes}, as far as the model itself predicted them, surely cost {percent(decay.margin_share)} more than what it was"
        f" judged on, with a chance of {percent(decay.alpha)} of being wrong.",
        f"Drift is not judged on less than {drift.min_rows:,} rows, decay not on less than {decay.min_rows:,} rows or"
        f" {decay.min_clusters:,} pieces of evidence.",
    ]


def _performance(problem: Problem) -> list[str]:
    policy, more = problem.performance, percent(problem.retraining.decay.margin_share)
    window = f"the newest {counted(policy.days, 'day')} with known outcomes" if problem.time else "rows with known outcomes"
    times = "" if policy.windows == 1 else f"the newest {policy.windows:,} windows of "
    usual = {
        "binary": f"{percent(policy.max_bias)} of the share of the rarer outcome",
        "regression": f"{percent(policy.max_bias)} of a standard deviation",
    }
    lines = [
        f"Performance: cost and what else is known of {times}predictions in service is measured as outcomes come, also by slice, each bound"
        f" with a chance of {percent(policy.alpha)} of being wrong; not on less than {policy.min_rows:,} rows or"
        f" {policy.min_clusters:,} pieces of evidence.",
    ]
    if problem.task in usual:
        lines.append(f"Bias: the mean prediction surely lies farther from what was observed than {usual[problem.task]}.")
    if problem.task != "regression":
        lines.append(
            f"Before outcomes are known, the cost of what was published is estimated, with probabilities calibrated on {window} that the"
            f" version has not learnt from. Alarming is what surely costs {more} more than what it was judged on."
        )
    lines.append(f"The newest {counted(policy.versions, 'stored version')} are asked about {window}, to see how models grow old.")
    if problem.online:
        lines.append(
            f"Of the newest {policy.served_rows:,} predictions over HTTP surely no more than {percent(policy.max_features_share)} may"
            " differ from the data in some feature."
        )
    return lines
