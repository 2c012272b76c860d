"""Each alert of Prometheus fires on its fault and not without it, and a rule that was turned round is found."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prom_rules import firing, passes
from prom_series import RefusedError, put_in, samples, seconds
from promql import evaluated, inversions

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "deploy" / "monitoring"
RULES = [rule for group in yaml.safe_load((PLACE / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
WRITTEN: dict[str, Any] = yaml.safe_load((PLACE / "tests.yml").read_text())
EVERY = seconds(WRITTEN["evaluation_interval"])
TURNED = [pytest.param(rule, turned, id=f"{rule['alert']}-{turned}") for rule in RULES for turned in inversions(rule["expr"])]
SERIES = {
    "interval": "1m",
    "input_series": [
        {"series": 'total{job="x",le="0.1"}', "values": "0+7x9 3+5x20 _x3 1+2x30"},
        {"series": 'total{job="x",le="0.5"}', "values": "0+9x9 4+5x20 _x3 1+4x30"},
        {"series": 'total{job="x",le="+Inf"}', "values": "0+9.5x9 4+6x20 _x3 1+4.5x30"},
        {"series": 'level{job="x",at="1"}', "values": "1x5 2x5 3 4 5 5 _x10 stale 0x10 -1x20"},
        {"series": 'level{job="y",at="1"}', "values": "4x10 stale 0x10 -1x20"},
        {"series": 'limit{job="x"}', "values": "0x10 2x10 3+1x30"},
    ],
}


def of(rule: dict[str, Any]) -> list[dict[str, Any]]:
    """The tests of a rule."""
    return [case for case in WRITTEN["tests"] if case["name"].partition(" ")[0] == rule["alert"]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_fires_with_its_labels_on_its_fault_and_is_silent_without_it(rule: dict[str, Any]):
    assert [case["name"] for case in of(rule) if not passes(rule, case, every=EVERY)] == []
    expected = [bool(asked["exp_samples"]) for case in of(rule) for asked in case["promql_expr_test"]]
    assert set(expected) == {True, False}


@pytest.mark.parametrize(("rule", "turned"), TURNED)
def test_a_rule_that_was_turned_round_does_not_pass(rule: dict[str, Any], turned: str):
    assert not all(passes(rule | {"expr": turned}, case, every=EVERY) for case in of(rule))


def test_every_rule_has_a_comparison_to_turn_round():
    assert {rule.values[0]["alert"] for rule in TURNED} == {rule["alert"] for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_with_another_severity_or_a_longer_wait_does_not_pass(rule: dict[str, Any]):
    for other in ({"labels": {"severity": "none"}}, {"for": "30d"}):
        assert not all(passes(rule | other, case, every=EVERY) for case in of(rule))


@pytest.mark.parametrize(("until", "fires"), [("14m", False), ("15m", True), ("19m", True), ("20m", False), ("30m", False), ("31m", True)])
def test_an_alert_waits_anew_after_each_break(until: str, fires: bool):
    rule = {"alert": "A", "expr": "a == 0", "for": "10m", "labels": {"severity": "info"}}
    case = {"interval": "1m", "input_series": [{"series": "a{}", "values": "1x4 0x14 1x0 0x20"}]}
    found = firing(rule, case, until=seconds(until), every=60)
    assert found == ([frozenset({("alertname", "A"), ("alertstate", "firing"), ("severity", "info")})] if fires else [])


@pytest.mark.parametrize(
    ("notation", "meant"),
    [("1 0x2 _ 5", [1, 0, 0, 0, None, 5]), ("0+60x2", [0, 60, 120]), ("3-1x2 _x2", [3, 2, 1, None, None]), ("-0.5x1", [-0.5, -0.5])],
)
def test_samples_are_read_as_promtool_reads_them(notation: str, meant: list[float | None]):
    assert samples(notation) == meant


@pytest.mark.parametrize(
    ("expression", "at", "found"),
    [
        ('rate(total{le="+Inf"}[5m])', "12m", [0.1166667]),
        ('increase(total{le="0.1"}[3m])', "35m", [3.0]),
        ("increase(level[20m])", "26m", [3.1666667, -1.0]),
        ("histogram_quantile(0.9, sum by (le) (rate(total[4m])))", "12m", [0.4933333]),
        ('changes(level{job="x"}[7m])', "16m", [3.0]),
        ("level > on (job) limit", "10m", [2.0]),
        ("level * ignoring (at) limit", "12m", [6.0]),
        ("level unless on (job) limit", "10m", [4.0]),
        ("level or on (job) limit", "23m", [-1.0, 4.0]),
        ("level > bool 1", "1m", [0.0, 1.0]),
        ("2 - 1 - 1 + level", "1m", [1.0, 4.0]),
        ("limit / 0", "12m", [float("inf")]),
        ('level{at!="1"} or limit{job=~"x|y"}', "12m", [2.0]),
        ("level + 1 > 2 and level < 5 or limit == 0", "1m", [5.0, 0.0]),
    ],
)
def test_expressions_come_to_what_prometheus_2_42_says(expression: str, at: str, found: list[float]):
    told = evaluated(expression)(put_in(SERIES), seconds(at))
    assert isinstance(told, dict)
    assert list(told.values()) == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize(
    "expression",
    [
        "abs(up)",
        "up offset 5m",
        "up[5m]",
        "sum(up)",
        "sum without (job) (up)",
        "up == on (job) group_left up",
        "1 > 2",
        "up up",
        "(up",
        "up >",
        "2 and up",
    ],
)
def test_what_is_not_known_here_is_refused(expression: str):
    with pytest.raises(RefusedError):
        evaluated(expression)(put_in(SERIES), 60)


PROMTOOL = '#!/bin/sh\necho "$PWD $*" >> "$CALLS"\ntest "$2" != "$FAILS"\n'


def checked(folder: Path, *, there: bool, fails: str = "") -> tuple[int, str, list[str]]:
    """`make monitoring-check` beside a promtool that notes how it was called: exit status, what was said, the calls."""
    program, calls = folder / "promtool", folder / "calls"
    calls.touch()
    if there:
        program.write_text(PROMTOOL)
        program.chmod(0o755)
    words = ["make", "--no-print-directory", "monitoring-check", f"PROMTOOL={program}"]
    done = subprocess.run(
        words, cwd=ROOT, env=os.environ | {"CALLS": str(calls), "FAILS": fails}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr, calls.read_text().splitlines()


def test_make_asks_promtool_for_configuration_rules_and_their_tests(tmp_path: Path):
    status, _, calls = checked(tmp_path, there=True)
    assert status == 0
    assert [line.partition(" ")[2] for line in calls] == [
        "check config deploy/monitoring/prometheus.yml",
        "check rules deploy/monitoring/alerts.yml",
        "test rules deploy/monitoring/tests.yml",
    ]


@pytest.mark.parametrize("fails", ["config", "rules"])
def test_make_fails_where_promtool_does(fails: str, tmp_path: Path):
    assert checked(tmp_path, there=True, fails=fails)[0] != 0


def test_make_says_what_to_install_where_there_is_no_promtool(tmp_path: Path):
    status, said, calls = checked(tmp_path, there=False)
    assert (status != 0, calls) == (True, [])
    assert "apt install prometheus" in said
