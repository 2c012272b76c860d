import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from deliveries import GAUGE, RULES, expectation, write_suite

from evergreen.errors import ContractError
from evergreen.validation import rules_digest, validate


def frame(*levels: float | None) -> pd.DataFrame:
    return pd.DataFrame({"reading": [f"r{number}" for number in range(len(levels))], "level": pd.array(levels, dtype="float64")})


def judge(tmp_path: Path, data: pd.DataFrame, *expectations: dict, **options):
    return validate(data, write_suite(tmp_path / "gauge.json", *(expectations or RULES)), name="gauge", **options)


def test_data_as_expected_pass_and_are_not_touched(tmp_path: Path, capfd: pytest.CaptureFixture):
    data = frame(1, 2, 3)
    before = data.copy()
    report = judge(tmp_path, data, key=("reading",))
    assert report.passed
    assert report.warnings == ()
    pd.testing.assert_frame_equal(data, before)
    assert capfd.readouterr() == ("", "")


def test_checks_come_in_the_suites_order_in_plain_words(tmp_path: Path):
    report = judge(tmp_path, frame(1, 2), rows=(2, 9), key=("reading",))
    assert [check.sentence for check in report.checks] == [
        "it has between 2 and 9 rows",
        "every row has its own `reading`",
        "`level` is never missing",
        "`level` lies between 0 and 100",
        "every `reading` appears once",
        "the mean of `level` lies between 0 and 50",
    ]


def test_a_failed_check_tells_how_many_and_which(tmp_path: Path):
    (check,) = judge(tmp_path, frame(1, 2, 300, -4)).failed
    assert (check.column, check.unexpected, check.share, check.examples) == ("level", 2, 0.5, ("300", "-4"))


@pytest.mark.parametrize("rows", [(3, 9), (0, 1)])
def test_the_row_count_alone_refuses_and_nothing_else_is_asked(tmp_path: Path, rows: tuple[int, int]):
    report = judge(tmp_path, frame(1, -2), rows=rows)
    assert [(check.expectation, check.passed) for check in report.checks] == [("row count", False)]
    assert not report.passed


def test_an_empty_frame_is_refused_whatever_is_allowed(tmp_path: Path):
    assert not judge(tmp_path, frame(), rows=(0, 9)).passed


def test_a_column_without_values_passes_its_range_and_fails_the_pair(tmp_path: Path):
    report = judge(tmp_path, frame(None, None))
    assert [check.sentence for check in report.failed] == ["`level` is never missing"]


def test_a_missing_column_fails_with_the_severity_of_each_expectation(tmp_path: Path):
    report = judge(tmp_path, frame(1, 2).rename(columns={"level": "depth"}))
    assert {check.exception for check in (*report.failed, *report.warnings)} == {"there is no column level"}
    assert (len(report.failed), len(report.warnings)) == (2, 1)


def test_an_expectation_that_raises_counts_as_failed(tmp_path: Path):
    data = frame(1, 2).assign(level=["low", "high"])
    report = judge(tmp_path, data, RULES[1])
    assert not report.passed
    assert report.failed[0].exception


def test_of_two_expectations_of_a_kind_each_keeps_its_own_result(tmp_path: Path):
    narrow = expectation("column_values_to_be_between", "warning", column="level", min_value=0, max_value=1)
    report = judge(tmp_path, frame(1, 2), narrow, RULES[1], narrow)
    assert [check.passed for check in report.checks[1:]] == [False, True, False]


def test_mostly_and_the_authors_words_are_told(tmp_path: Path):
    shares = [
        expectation("column_values_to_not_be_null", column="level", mostly=0.9),
        expectation("column_values_to_be_between", column="level", min_value=0, mostly=0.995),
        expectation("column_values_to_be_in_set", column="reading", value_set=["r0"]) | {"description": "only one", "notes": "why"},
        expectation("column_values_to_be_decreasing", column="level"),
    ]
    checks = judge(tmp_path, frame(1, 2), *shares).checks[1:]
    assert [check.sentence for check in checks] == [
        "`level` is there in at least 90% of the rows",
        "`level` lies at or above 0, for at least 99.5% of the values",
        "only one",
        "column values to be decreasing (column: level)",
    ]
    assert checks[2].notes == "why"


def test_the_report_is_json_without_not_a_number(tmp_path: Path):
    report = judge(tmp_path, frame(None, None))
    again = json.loads(json.dumps([report.to_dict(), report.result], allow_nan=False))
    assert again[0]["passed"] is False
    assert again[1]["statistics"]["evaluated_expectations"] == len(RULES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no suite"),
        ('{"name": "x"}', "is no suite"),
        ('{"name": "x", "expectations": []}', "has no expectations"),
        ('{"name": "x", "expectations": [{"type": "expect_magic", "kwargs": {}}]}', r"expectation 1 \(expect_magic\) cannot be used"),
        ('{"name": "x", "expectations": [{"type": "expect_column_to_exist", "kwargs": {"field": "a"}}]}', "cannot be used: .*field"),
        ('{"name": "x", "expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "a"}, "severity": "fatal"}]}', "fatal"),
        ('{"name": "x", "expectations": ["expect_column_to_exist"]}', "cannot be used"),
        ('{"name": "x", "expectations": [{"type": "a", "kwargs": {"column": {"$PARAMETER": "c"}}}]}', "has parameters"),
    ],
)
def test_a_suite_that_cannot_be_used_is_told_in_one_sentence(tmp_path: Path, text: str, message: str):
    suite = tmp_path / "gauge.json"
    suite.write_text(text)
    with pytest.raises(ContractError, match=message):
        validate(frame(1, 2), suite, name="gauge")


def test_a_missing_suite_is_told(tmp_path: Path):
    with pytest.raises(ContractError, match=r"There is no suite .*gauge\.json"):
        validate(frame(1, 2), tmp_path / "gauge.json", name="gauge")


def test_the_rules_change_with_suite_key_and_volume_but_not_with_a_second_look(tmp_path: Path):
    suite = write_suite(tmp_path / "gauge.json", *RULES)
    digest = rules_digest(GAUGE, suite)
    assert rules_digest(GAUGE, suite) == digest
    assert rules_digest(GAUGE.model_copy(update={"key": ("reading", "at")}), suite) != digest
    assert rules_digest(GAUGE.model_copy(update={"rows": (1, 2)}), suite) != digest
    assert rules_digest(GAUGE.model_copy(update={"read": pd.read_csv}), suite) != digest
    write_suite(suite, *RULES[:-1])
    assert rules_digest(GAUGE, suite) != digest


def test_looking_for_news_imports_no_great_expectations():
    code = "import sys, evergreen.validation, evergreen.data.landing, evergreen.data.batches; print('great_expectations' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"
