import re
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


@pytest.mark.parametrize(
    ("host", "key", "is_open"),
    [
        ("127.0.0.1", "", False),
        ("localhost", "", False),
        ("::1", "", False),
        ("10.0.0.7", "", True),
        ("", "", True),
        ("10.0.0.7", "key", False),
    ],
)
def test_who_listens_to_others_without_a_key_is_told_so(host: str, key: str, is_open: bool):
    assert Settings(_env_file=None, api_host=host, api_key=key).is_open is is_open


def test_mlflow_is_found_by_its_own_variable_and_ours_goes_first(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://theirs:5000")
    assert load_settings().mlflow == "http://theirs:5000"
    monkeypatch.setenv("EVERGREEN_MLFLOW_URI", "http://ours:5000")
    assert load_settings().mlflow == "http://ours:5000"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_mlflows_postgresql_is_named_as_the_journals_is(scheme: str):
    assert Settings(mlflow_uri=f"{scheme}://me:a%40b@db/mlflow").mlflow == "postgresql+psycopg://me:a%40b@db/mlflow"


def test_a_file_in_the_working_directory_is_read_and_the_environment_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".env").write_text("EVERGREEN_WORK_IMAGE=\nEVERGREEN_PROBLEM=shop.contract:PROBLEM\nEVERGREEN_HOME=from_file\nOTHERS=1\n")
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


def test_what_a_cluster_says_of_its_services_is_no_setting_that_somebody_misspelt(monkeypatch: pytest.MonkeyPatch):
    for name, value in {
        "EVERGREEN_SERVICE_HOST": "10.0.0.7",
        "EVERGREEN_SERVICE_PORT_HTTP": "80",
        "EVERGREEN_PORT": "tcp://10.0.0.7:80",
        "EVERGREEN_POSTGRES_PORT_5432_TCP_ADDR": "10.0.0.8",
    }.items():
        monkeypatch.setenv(name, value)
    load_settings()
    monkeypatch.setenv("EVERGREEN_PREFCT_PORT", "4300")
    with pytest.raises(EvergreenError, match="EVERGREEN_PREFCT_PORT in the environment is no setting"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("EVERGREEN_ALERT_URL", "EVERGREEN_ALERT_URL in {place} is no setting (is EVERGREEN_ALERT_URLS meant?)"),
        ("evergreen_poll_second", "EVERGREEN_POLL_SECOND in {place} is no setting (is EVERGREEN_POLL_SECONDS meant?)"),
        ("EVERGREEN_MLFLOW_URL", "EVERGREEN_MLFLOW_URL in {place} is no setting (is EVERGREEN_MLFLOW_URI meant?)"),
        ("EVERGREEN_ZZZ", "EVERGREEN_ZZZ in {place} is no setting. See"),
    ],
)
@pytest.mark.parametrize("place", [".env", "the environment"])
def test_a_variable_that_is_no_setting_is_refused_with_the_one_that_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, name: str, told: str
):
    if place == ".env":
        (tmp_path / ".env").write_text(f"{name}=mailto://somebody\n")
    else:
        monkeypatch.setenv(name, "mailto://somebody")
    with pytest.raises(EvergreenError) as refused:
        load_settings()
    assert told.format(place=place) in str(refused.value)
    assert "somebody" not in str(refused.value)


def test_what_compose_and_the_image_read_is_no_setting_that_somebody_misspelt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = "".join((Path(__file__).parents[2] / name).read_text() for name in ("compose.yaml", "Dockerfile"))
    named = set(re.findall(r"\b(EVERGREEN_[A-Z_]+?)(?:_FILE)?\b", text))
    assert {"EVERGREEN_IMAGE", "EVERGREEN_SECRETS", "EVERGREEN_REVISION"} <= named
    (tmp_path / ".env").write_text("EVERGREEN_IMAGE=evergreen:1\nEVERGREEN_SECRETS=/etc/evergreen\n")
    monkeypatch.setenv("EVERGREEN_REVISION", "0123456789ab")
    assert load_settings().api_port == Settings().api_port
    assert named <= {f"EVERGREEN_{name.upper()}" for name in Settings.model_fields} | {
        "EVERGREEN_IMAGE",
        "EVERGREEN_SECRETS",
        "EVERGREEN_REVISION",
    }


def test_every_fault_is_told_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EVERGREEN_ALERT_URL", "x")
    monkeypatch.setenv("EVERGREEN_KEEP_DAYS", "inf")
    with pytest.raises(EvergreenError, match=r"is EVERGREEN_ALERT_URLS meant\?\); EVERGREEN_KEEP_DAYS: got 'inf', .*less than or equal"):
        load_settings()


def test_all_that_the_example_file_names_are_settings(tmp_path: Path):
    example = (Path(__file__).parents[2] / ".env.example").read_text()
    names = re.findall(r"(?m)^#(EVERGREEN_\w+)=", example)
    assert {f"EVERGREEN_{name.upper()}" for name in Settings.model_fields} == set(names)
    pooled = re.sub(r"(?m)^#(EVERGREEN_\w+=)", r"\1", example)
    (tmp_path / ".env").write_text(pooled)
    assert load_settings().poll_seconds == 300


def test_a_file_that_is_no_text_is_told(tmp_path: Path):
    (tmp_path / ".env").write_bytes(b"EVERGREEN_HOME=gr\xfcn\n")
    with pytest.raises(EvergreenError, match=r"\.env is not in UTF-8: .*0xfc"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("LEASE_SECONDS", "0.5", "greater than or equal to 1"),
        ("WORK_IMAGE", "evergreen:1", "no image without EVERGREEN_WORK_POOL"),
        ("HOME", "~nobody-of-this-name/var", "there is no such person"),
        ("HOME", "gr\udcfcn", "a path that can be shown, in UTF-8"),
        ("HOME", "two\nlines", "a path that can be shown, in UTF-8"),
    ],
)
def test_a_value_that_would_mean_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str):
    monkeypatch.setenv(f"EVERGREEN_{name}", value)
    with pytest.raises(EvergreenError, match=rf"EVERGREEN_{name}: got .*{expected}") as refused:
        load_settings()
    assert str(refused.value).isprintable()


def test_an_image_for_a_pool_is_fine(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EVERGREEN_WORK_IMAGE", "evergreen:1")
    monkeypatch.setenv("EVERGREEN_WORK_POOL", "farm")
    assert load_settings().work_image == "evergreen:1"
