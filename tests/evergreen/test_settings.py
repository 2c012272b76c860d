from pathlib import Path

import pytest

from evergreen.errors import EvergreenError
from evergreen.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory without anybody's .env."""
    monkeypatch.chdir(tmp_path)


def test_without_any_variable_everything_is_below_var(tmp_path: Path):
    settings = load_settings()
    assert settings.root == tmp_path / "var"
    assert settings.landing == tmp_path / "var" / "landing"
    assert settings.site == tmp_path / "var" / "site"
    assert settings.journal == f"sqlite:///{tmp_path}/var/journal.db"
    assert settings.mlflow == f"sqlite:///{tmp_path}/var/mlflow.db"


def test_reading_the_settings_writes_nothing(tmp_path: Path):
    assert load_settings().root.name == "var"
    assert list(tmp_path.iterdir()) == []


def test_the_environment_says_where_things_run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EVERGREEN_HOME", "/data/evergreen")
    monkeypatch.setenv("EVERGREEN_JOURNAL_URL", "postgresql+psycopg://db/evergreen")
    monkeypatch.setenv("EVERGREEN_SETTLE_SECONDS", "2.5")
    settings = load_settings()
    assert (str(settings.landing), settings.settle_seconds) == ("/data/evergreen/landing", 2.5)
    assert settings.journal == "postgresql+psycopg://db/evergreen"


def test_a_home_with_a_tilde_is_the_persons_own(monkeypatch: pytest.MonkeyPatch):
    assert Settings(home=Path("~/evergreen")).root == Path.home() / "evergreen"


def test_mlflow_is_found_by_its_own_variable_and_ours_goes_first(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://theirs:5000")
    assert load_settings().mlflow == "http://theirs:5000"
    monkeypatch.setenv("EVERGREEN_MLFLOW_URI", "http://ours:5000")
    assert load_settings().mlflow == "http://ours:5000"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_mlflows_postgresql_is_named_as_the_journals_is(scheme: str):
    assert Settings(mlflow_uri=f"{scheme}://me:a%40b@db/mlflow").mlflow == "postgresql+psycopg://me:a%40b@db/mlflow"


def test_a_file_in_the_working_directory_is_read_and_the_environment_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".env").write_text("EVERGREEN_PROBLEM=shop.contract:PROBLEM\nEVERGREEN_HOME=from_file\nOTHERS=1\n")
    monkeypatch.setenv("EVERGREEN_HOME", "from_environment")
    settings = load_settings()
    assert (settings.problem, settings.root) == ("shop.contract:PROBLEM", tmp_path / "from_environment")


@pytest.mark.parametrize(
    ("value", "expected"), [("soon", "valid number"), ("-1", "greater than or equal to 0"), ("4000", "less than or equal to 3600")]
)
def test_a_value_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, value: str, expected: str):
    monkeypatch.setenv("EVERGREEN_SETTLE_SECONDS", value)
    with pytest.raises(EvergreenError, match=rf"EVERGREEN_SETTLE_SECONDS: got '{value}', .*{expected}.*\.env\.example"):
        load_settings()
