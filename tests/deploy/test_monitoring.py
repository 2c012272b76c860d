"""What Prometheus and Grafana are given: rules and panels ask only for what a real home tells, and each rule is tried both ways."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from in_service import eventful
from prometheus_client.parser import text_string_to_metric_families
from typer.main import get_command

from evergreen.monitoring.exposition import expose
from evergreen.policies import AlertKind
from evergreen.serving.metrics import Metrics
from flows.cli import app

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "deploy" / "monitoring"
GROUPS = yaml.safe_load((PLACE / "alerts.yml").read_text())["groups"]
RULES: dict[str, dict[str, Any]] = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
TRIED: dict[str, dict[str, Any]] = {one["name"]: one for one in yaml.safe_load((PLACE / "tests.yml").read_text())["tests"]}
DASHBOARD: dict[str, Any] = json.loads((PLACE / "grafana" / "dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
DRAWN = [one for one in PANELS if one["type"] != "row"]
OF_PROMETHEUS = {"up": {"job", "instance"}}
ADDED = {"job", "instance"}
"""Labels that Prometheus puts to whatever it scrapes."""
JOINING = {"and", "or", "unless", "on", "ignoring", "group_left", "group_right", "by", "without", "bool", "offset"}
WORDS = JOINING | {"sum", "min", "max", "avg", "count", "time", "rate", "increase", "changes", "delta", "histogram_quantile"}
TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*")|(?P<number>\d+(?:\.\d+)?(?:[smhdw](?![a-z]))?)|(?P<name>\$?[a-zA-Z_:][\w:]*)"""
    r"""|(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^<>=,(){}\[\]]))"""
)
PAIRS = {")": "(", "}": "{", "]": "["}
UNITS = {"none", "s", "short", "percentunit", "reqps", "dateTimeAsIso", "dateTimeFromNow"}


class BadExpressionError(Exception):
    """Prometheus would not take it."""


def tokens(expression: str) -> Iterator[tuple[str, str]]:
    at, whole = 0, expression.strip()
    while at < len(whole):
        found = TOKEN.match(whole, at)
        if not found or found.lastgroup is None:
            raise BadExpressionError(f"nobody knows {whole[at:]!r}")
        yield found.lastgroup, found[found.lastgroup]
        at = found.end()


def selected(expression: str) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Every metric that is asked for with its matchers; what is not balanced, or no operand where one is wanted, is refused."""
    found: list[tuple[str, list[tuple[str, str, str]]]] = []
    stack: list[str] = []
    last = ""
    parts = list(tokens(expression))
    for at, (kind, text) in enumerate(parts):
        after = parts[at + 1][1] if at + 1 < len(parts) else ""
        if text in PAIRS.values():
            stack.append(text)
        elif text in PAIRS:
            if not stack or stack.pop() != PAIRS[text]:
                raise BadExpressionError(f"{text} closes nothing")
        elif kind == "name" and stack[-1:] == ["{"]:
            label, sign, value = text, after, parts[at + 2][1] if at + 2 < len(parts) else ""
            if sign not in {"=", "!=", "=~", "!~"} or not value.startswith('"') or not found:
                raise BadExpressionError(f"{label} is matched with nothing")
            found[-1][1].append((label, sign, value.strip('"')))
        elif kind == "name" and text not in WORDS and not text.startswith("$") and not is_label(parts, at):
            if last in {"name", "number"} and parts[at - 1][1] not in WORDS:
                raise BadExpressionError(f"{text} follows an operand")
            found.append((text, []))
        last = kind
    if stack or (parts and parts[-1][0] == "sign" and parts[-1][1] not in PAIRS):
        raise BadExpressionError("it ends too early")
    return found


def is_label(parts: list[tuple[str, str]], at: int) -> bool:
    """Whether a name stands in a list of labels, as after `by (`."""
    while at and (parts[at][0] == "name" or parts[at][1] == ","):
        at -= 1
    return parts[at][1] == "(" and parts[at - 1][1] in {"by", "without", "on", "ignoring"}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, set[str]]]:
    """What a real home and a server tell: of each metric its labels, of each label its values."""
    space, metrics = eventful(tmp_path_factory.mktemp("home") / "home"), Metrics()
    metrics.count("/predict", 200)
    metrics.seconds.labels("/predict").observe(0.01)
    text = expose(space, datetime.now(UTC), is_look=True).read_text() + metrics.exposition(is_whole=True).decode()
    space.journal.close()
    told: dict[str, dict[str, set[str]]] = {name: {label: set() for label in labels} for name, labels in OF_PROMETHEUS.items()}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            labels = told.setdefault(one.name, {})
            for label, value in one.labels.items():
                labels.setdefault(label, set()).add(value)
    return told


def faults(expression: str, known: dict[str, dict[str, set[str]]]) -> list[str]:
    """What is wrong with an expression."""
    try:
        asked = selected(expression)
    except BadExpressionError as error:
        return [str(error)]
    wrong = [f"no metric {name}" for name, _ in asked if name not in known]
    for name, matchers in asked:
        for label, sign, value in matchers:
            labels = known.get(name, {})
            if label not in labels and label not in ADDED:
                wrong.append(f"{name} has no label {label}")
            elif label == "kind" and sign in {"=", "=~"}:
                wrong += [f"{name} has no kind {one}" for one in value.split("|") if one not in get_args(AlertKind)]
    return wrong if asked else ["it asks for nothing"]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_asks_for_what_is_told_waits_and_says_what_to_run(name: str, known):
    rule = RULES[name]
    assert faults(rule["expr"], known) == []
    assert re.fullmatch(r"\d+[mhd]", rule["for"])
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    said = rule["annotations"]
    assert said["summary"]
    assert not said["summary"].endswith(".")
    commands = re.findall(r"`(evergreen|make) ([a-z-]+)`", said["description"])
    assert commands
    for program, word in commands:
        assert word in (get_command(app).commands if program == "evergreen" else (ROOT / "Makefile").read_text())  # type: ignore[attr-defined]


def test_what_a_rule_says_names_only_labels_that_its_result_has(known):
    for name, rule in RULES.items():
        wanted = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        asked = selected(rule["expr"])
        assert wanted <= ADDED | set(known[asked[0][0]]), name


@pytest.mark.parametrize("name", RULES)
def test_each_rule_is_tried_on_its_fault_and_without_it(name: str):
    for word, is_on in (("fires", True), ("is silent", False)):
        (asked,) = TRIED[f"{name} {word}"]["promql_expr_test"]
        assert asked["expr"] == f'ALERTS{{alertname="{name}",alertstate="firing"}}'
        assert bool(asked["exp_samples"]) is is_on
        given = {series["series"].partition("{")[0] for series in TRIED[f"{name} {word}"]["input_series"]}
        assert given == {metric for metric, _ in selected(RULES[name]["expr"])}
    assert len(TRIED) == 2 * len(RULES)


@pytest.mark.parametrize("panel", DRAWN, ids=lambda one: one["title"])
def test_a_panel_asks_for_what_is_told_in_a_unit_and_says_what_it_shows(panel: dict[str, Any], known):
    for target in panel["targets"]:
        expression = target["expr"].replace("$__rate_interval", "5m")
        assert faults(expression, known) == []
        assert 'instance=~"$instance"' in expression
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"} == panel["targets"][0]["datasource"]
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"] in UNITS
    assert defaults["thresholds"]["steps"][0]["value"] is None
    values = [step["value"] for step in defaults["thresholds"]["steps"][1:]]
    assert values == sorted(values)
    assert panel["description"].endswith(".")


def test_the_dashboard_has_its_rows_and_no_panel_lies_upon_another():
    assert [one["title"] for one in PANELS if one["type"] == "row"] == ["Loop", "Data", "Model", "Serving"]
    assert len({one["id"] for one in PANELS}) == len(PANELS)
    cells: set[tuple[int, int]] = set()
    for one in PANELS:
        place = one["gridPos"]
        own = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & own, one["title"]
        cells |= own
    assert DASHBOARD["schemaVersion"] >= 41
    assert [one["name"] for one in DASHBOARD["templating"]["list"]] == ["datasource", "instance"]
    assert not {"__inputs", "id"} & DASHBOARD.keys()


def test_everything_that_is_told_is_on_the_dashboard_or_in_a_rule(known):
    asked = [target["expr"].replace("$__rate_interval", "5m") for panel in DRAWN for target in panel["targets"]]
    shown = {name for one in [*asked, *(rule["expr"] for rule in RULES.values())] for name, _ in selected(one)}
    of_loop_data_and_model = {name for name in known if name.startswith("evergreen_")} - shown
    assert (
        of_loop_data_and_model
        == {
            "evergreen_metrics_timestamp_seconds",
            "evergreen_decision_timestamp_seconds",
            "evergreen_rounds_total",
            "evergreen_predictions_total",
            "evergreen_request_seconds_count",
            "evergreen_request_seconds_sum",
            "evergreen_requests_created",
            "evergreen_request_seconds_created",
            "evergreen_swaps",
            "evergreen_refused_versions",
            "evergreen_logged_predictions",
            "evergreen_batches",
            "evergreen_model_faults",
            "evergreen_shadow_dropped_rows",
        }
        & known.keys()
    )


def test_prometheus_asks_this_machine_for_everything_and_finds_the_rules():
    config = yaml.safe_load((PLACE / "prometheus.yml").read_text())
    assert [(PLACE / name).exists() for name in config["rule_files"]] == [True]
    (job,) = config["scrape_configs"]
    assert job["job_name"] == "evergreen"
    assert [target for one in job["static_configs"] for target in one["targets"]] == ["127.0.0.1:8000"]
    assert job.get("metrics_path", "/metrics") == "/metrics"


def test_grafana_finds_the_data_where_prometheus_is():
    (source,) = yaml.safe_load((PLACE / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://127.0.0.1:9090")
    (provider,) = yaml.safe_load((PLACE / "grafana/provisioning/dashboards/evergreen.yml").read_text())["providers"]
    assert (provider["type"], provider["options"]["path"]) == ("file", "/etc/grafana/dashboards")


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("evergreen_readiness == 0", "no metric evergreen_readiness"),
        ('evergreen_health_state{colour="red"} == 2', "evergreen_health_state has no label colour"),
        ('evergreen_alerts{kind=~"drift|other"} > 0', "evergreen_alerts has no kind other"),
        ("sum by (instance) (rate(evergreen_requests_total[5m]) > 1", "it ends too early"),
        ("evergreen_ready == 0)", ") closes nothing"),
        ("evergreen_ready evergreen_degraded", "evergreen_degraded follows an operand"),
        ("evergreen_ready ==", "it ends too early"),
        ('evergreen_alerts{kind="drift} > 0', "nobody knows"),
        ("evergreen_alerts{kind} > 0", "kind is matched with nothing"),
        ("time() > 5", "it asks for nothing"),
    ],
)
def test_a_planted_defect_in_an_expression_is_found(expression: str, fault: str, known):
    (found,) = faults(expression, known)
    assert found.startswith(fault)
