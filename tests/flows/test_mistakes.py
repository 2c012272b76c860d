"""A person's mistake is a sentence on the error stream and an exit code; never a traceback."""

import importlib.util
import os

import commands
import pytest
from commands import Home, told
from file_names import needs_any_bytes

CONTRACT = """
from evergreen import policies as p
from toy.contract import PROBLEM as TOY

def changed(part, **values):
    return type(part)(**{**dict(part), **values})

"""
MISSPELT = CONTRACT + "PROBLEM = changed(TOY, feature=TOY.features)\n"
WRONG_TYPE = CONTRACT + "PROBLEM = changed(TOY, business=changed(TOY.business, good_enough='a lot'))\n"
UNKNOWN_COLUMN = CONTRACT + "PROBLEM = changed(TOY, features=(*TOY.features, 'colour'))\n"
WITHOUT_PROBABILITIES = """
from sklearn.svm import LinearSVC
from sklearn.pipeline import make_pipeline
from toy.features import build_estimator as toy

def build_estimator():
    return make_pipeline(*[step for _, step in toy().steps[:-1]], LinearSVC())
"""


@pytest.fixture(scope="module")
def ingested(_server: None, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Deliveries that have been judged, and nothing trained."""
    home = commands.make_home(tmp_path_factory.mktemp("ingested"))
    home.deliver(ahead=0)
    assert home.evergreen("ingest").code == 0
    return home


def with_contract(home: Home, name: str, source: str) -> Home:
    """The same home under another contract, in a module of its own."""
    return commands.make_home(home.root, problem=f"{name}:PROBLEM", contract=source)


def test_a_misspelt_field_of_the_contract_is_named(home: Home):
    wrong = with_contract(home, "misspelt", MISSPELT).evergreen("contract", "show")
    told(wrong, "feature: got ('product', 'amount', 'stock_level')", "no such field; is it misspelt?", code=2)


def test_a_wrong_value_in_the_contract_is_named_with_what_was_got_and_expected(home: Home):
    told(with_contract(home, "wrong", WRONG_TYPE).evergreen("status"), "good_enough: got 'a lot'; expected: input should be", code=2)


@pytest.mark.parametrize(
    ("problem", "parts"),
    [
        ("nowhere.contract:PROBLEM", ("nowhere.contract:PROBLEM cannot be imported", "No module named 'nowhere'")),
        ("toy.contract:CONTRACT", ("toy.contract:CONTRACT cannot be imported", "CONTRACT")),
        ("toy.contract:returned", ("toy.contract:returned is a function; expected",)),
    ],
)
def test_a_contract_that_is_not_there_is_told(home: Home, problem: str, parts: tuple[str, ...]):
    told(home.evergreen("run", EVERGREEN_PROBLEM=problem), *parts, code=2)


def test_a_contract_in_a_module_beside_no_others_has_no_feed_and_that_is_fine(home: Home):
    told(with_contract(home, "alone", CONTRACT + "PROBLEM = TOY\n").evergreen("run"), "There is no landing folder")


@pytest.mark.parametrize("command", ["ingest", "run"])
def test_without_a_landing_folder_it_says_where_to_put_the_deliveries(home: Home, command: str):
    told(home.evergreen(command), f"There is no landing folder {home.var / 'landing'}. Make it")


def test_a_feature_that_no_source_has_is_named_before_anything_is_trained(ingested: Home):
    told(with_contract(ingested, "colour", UNKNOWN_COLUMN).evergreen("train"), "['colour'] not in the data after the joins", code=2)
    assert ingested.rows("versions") == []


def test_an_estimator_without_probabilities_is_refused(ingested: Home):
    folder = ingested.root / "contracts" / "hard"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "features.py").write_text(WITHOUT_PROBABILITIES)
    (folder / "contract.py").write_text(
        CONTRACT + "from hard import features\nPROBLEM = changed(TOY, build_estimator=features.build_estimator)\n"
    )
    hard = Home(ingested.root, "hard.contract:PROBLEM", (ingested.root / "contracts",))
    told(hard.evergreen("train"), "without predict_proba", "CalibratedClassifierCV")
    assert ingested.rows("versions") == []


def test_a_journal_that_is_a_folder_is_told(home: Home):
    told(home.evergreen("status", EVERGREEN_JOURNAL_URL=f"sqlite:///{home.root}"), f"The journal sqlite:///{home.root} cannot be used")


def test_a_journal_url_that_is_none_is_told(home: Home):
    told(home.evergreen("status", EVERGREEN_JOURNAL_URL="journal.db"), "EVERGREEN_JOURNAL_URL")


def test_an_mlflow_that_nobody_answers_for_is_told(ingested: Home):
    told(
        ingested.evergreen("train", EVERGREEN_MLFLOW_URI="http://127.0.0.1:9"),
        "MLflow at http://127.0.0.1:9 cannot be used",
        "EVERGREEN_MLFLOW_URI",
    )
    assert ingested.rows("versions") == []


def test_a_setting_that_cannot_be_is_told_by_its_name(home: Home):
    told(home.evergreen("status", EVERGREEN_SETTLE_SECONDS="soon"), "EVERGREEN_SETTLE_SECONDS: got 'soon'")


def test_a_problem_without_an_example_has_nothing_to_feed(home: Home):
    told(home.evergreen("feed"), "This problem has no feed: its deliveries come from outside.")


@pytest.mark.skipif(importlib.util.find_spec("problem.feed") is None, reason="the example has been removed")
def test_a_month_that_the_example_does_not_have_is_told(home: Home):
    for command in ("run", "feed"):
        told(home.evergreen(command, "--through", "2013-13", EVERGREEN_PROBLEM="problem.contract:PROBLEM"), "Got the month '2013-13'")
    assert not (home.var / "landing").exists()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("promote", "7", "--reason", "urgent"), "There is no version 7 of toy; registered: none yet."),
        (("rollback", "--reason", "wrong"), "There is nothing to roll back to: the champion is none"),
        (("unbar", "1", "--reason", "mended"), "Version 1 is not barred; barred: none."),
        (("train",), "Nothing has been published yet of orders, stock, customers, outcomes."),
        (("train", "--tune"), "Nothing has been published yet"),
        (("predict",), ""),
        (("contract", "check"), "There is no file in"),
    ],
)
def test_what_cannot_be_done_in_an_empty_home_is_told(home: Home, words: tuple[str, ...], part: str):
    ended = home.evergreen(*words)
    if part:
        told(ended, part)
    else:
        assert (ended.code, ended.err) == (0, "")
        assert "there is no champion yet" in ended.out


@pytest.mark.parametrize("words", [("shadow",), ("shadow", "2"), ("serve",)])
def test_without_an_api_in_the_contract_nothing_is_served(home: Home, words: tuple[str, ...]):
    told(home.evergreen(*words), "The contract has no `online`, so nothing is served", code=2)


@pytest.mark.parametrize(
    "words", [("promote", str(2**80), "--reason", "x"), ("unbar", "0", "--reason", "x"), ("gate", "resume", str(2**80))]
)
def test_a_number_that_no_version_has_is_told_without_asking_any_store(home: Home, words: tuple[str, ...]):
    ended = home.evergreen(*words)
    assert ended.code == 2
    assert "Input should be greater than or equal to 1" in ended.err or "Input should be less than or equal to 2147483647" in ended.err


@pytest.mark.parametrize(
    "words", [("promote", "one", "--reason", "x"), ("promote", "1"), ("rollback",), ("dance",), ("shadow", "2", "--stop")]
)
def test_words_that_the_command_does_not_know_are_a_usage_message(home: Home, words: tuple[str, ...]):
    ended = home.evergreen(*words)
    assert ended.code == 2
    assert ended.err.startswith("Usage: ")
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("words", [("promote", "1"), ("rollback",), ("unbar", "1")])
def test_a_decision_without_a_reason_is_none(home: Home, words: tuple[str, ...]):
    ended = home.evergreen(*words, "--reason", "  ")
    assert ended.code == 2
    assert "say why" in ended.err
    assert "Traceback" not in ended.err


def test_a_month_is_nothing_to_ask_for_where_there_is_no_feed(home: Home):
    told(home.evergreen("run", "--through", "2013-08"), "Got --through 2013-08, but this problem has no feed")


def test_a_prefect_server_that_nobody_answers_for_is_told(home: Home):
    home.deliver()
    ended = home.evergreen("ingest", PREFECT_API_URL="http://127.0.0.1:9/api")
    told(ended, "The Prefect server at http://127.0.0.1:9/api does not answer.", "unset PREFECT_API_URL")
    assert home.rows("deliveries") == []


needs_another_user = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


@needs_another_user
def test_a_home_that_may_not_be_written_is_told(home: Home):
    home.root.chmod(0o500)
    ended = home.python("from flows.cli import main; main()")
    home.root.chmod(0o700)
    told(ended, "cannot be written (Permission denied)")


def test_a_home_on_a_medium_that_cannot_be_written_is_told(home: Home):
    told(
        home.evergreen("status", EVERGREEN_HOME="/proc/evergreen"),
        "The folder /proc/evergreen cannot be written",
        "Set EVERGREEN_HOME to another",
    )


def test_a_word_that_is_no_text_is_told(home: Home):
    ended = home.evergreen_cold("freeze", "--reason", os.fsdecode(b"gr\xfcn audit"))
    told(ended, r"Got 'gr\xfcn audit', which is no text in UTF-8. Say it in UTF-8")
    assert home.rows("freezes") == []


@needs_any_bytes
def test_an_archive_may_be_called_what_cannot_be_shown(home: Home):
    name = os.fsdecode(b"gr\xfcn.zip")
    told(home.evergreen_cold("restore", name), "There is no gr")
    assert home.evergreen("status").code == 0
    assert home.evergreen_cold("backup", name).code == 0
    assert (home.root / name).is_file()


def test_a_variable_that_is_no_setting_is_told_with_the_one_that_is_meant(home: Home):
    told(home.evergreen("status", EVERGREEN_ALERT_URL="json://x"), "EVERGREEN_ALERT_URL in the environment is no setting (is EVERGREEN_AL")
