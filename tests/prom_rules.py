"""The alerting rules of alerts.yml, tried with the tests of tests.yml as `promtool test rules` does."""

from typing import Any

from prom_series import Labels, Matcher, RefusedError, Vector, labelled, put_in, seconds
from promql import evaluated, tokens

LOADED = {"alert", "expr", "for", "labels", "annotations"}
TRIED = {"name", "interval", "input_series", "promql_expr_test"}


def firing(rule: dict[str, Any], case: dict[str, Any], *, until: float, every: float) -> list[Labels]:
    """The labels of the alerts of a rule that fire at a time, where it is evaluated every so many seconds from 0 on."""
    if rule.keys() - LOADED or "{{" in str(rule["labels"]):
        raise RefusedError(f"more is told of {rule['alert']} than is known here")
    series, expression, held = put_in(case), evaluated(rule["expr"]), seconds(rule["for"])
    since: dict[Labels, float] = {}
    now = last = 0.0
    while now <= until:
        found = expression(series, now)
        if not isinstance(found, dict):
            raise RefusedError(f"{rule['alert']} is a number")
        since = {labels: since.get(labels, now) for labels in found}
        now, last = now + every, now
    added = {**rule["labels"], "alertname": rule["alert"], "alertstate": "firing"}
    return [frozenset({**dict(labels), **added}.items()) for labels, at in since.items() if last - at >= held]


def passes(rule: dict[str, Any], case: dict[str, Any], *, every: float) -> bool:
    """Whether what a test expects of the alerts of a rule is what fires."""
    if case.keys() - TRIED:
        raise RefusedError(f"{case['name']} asks for more than is known here")
    return all(_holds(rule, case, asked, every) for asked in case["promql_expr_test"])


def _holds(rule: dict[str, Any], case: dict[str, Any], asked: dict[str, Any], every: float) -> bool:
    alerts, *rest = tokens(asked["expr"])
    _, wanted = labelled("".join([alerts, *rest]))
    if alerts != "ALERTS" or wanted.get("alertname") != rule["alert"] or wanted.get("alertstate") != "firing":
        raise RefusedError(f"{asked['expr']} asks for no firing alert of {rule['alert']}")
    matchers = [Matcher(label, "=", value) for label, value in wanted.items()]
    fired = firing(rule, case, until=seconds(asked["eval_time"]), every=every)
    shown: Vector = {labels: 1.0 for labels in fired if all(one.holds(dict(labels)) for one in matchers)}
    expected = {frozenset(labelled(one["labels"])[1].items()): float(one["value"]) for one in asked["exp_samples"]}
    return shown == expected
