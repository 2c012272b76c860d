"""Where things run, from the environment. Built at the entry points, never at import; what the problem is stands in its contract."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, SettingsConfigDict

from evergreen.errors import EvergreenError
from evergreen.files import shown

PREFIX = "EVERGREEN_"
FILE = ".env"
OF_THE_PLATFORM = {
    f"{PREFIX}{name}"
    for name in ("PYTHON", "LOGS", "SOCKET", "PREFECT_HERE", "MLFLOW_HERE", "MLFLOW_STORE", "MLFLOW_ARTIFACTS", "API_HERE")
}
"""What the platform puts into the environment of its own processes; no settings."""
OF_CONTAINERS = {f"{PREFIX}{name}" for name in ("REVISION", "IMAGE", "SECRETS")}
"""The commit that an image was built from, and what compose.yaml reads from `.env`; no settings either."""
OF_A_CLUSTER = re.compile(r"_SERVICE_(HOST|PORT\w*)=|_PORT=(tcp|udp)://|_PORT_\d+_(TCP|UDP)\w*=")
"""What Kubernetes and Docker put into the environment by themselves, where a service or a container is called evergreen."""
Port = Annotated[int, Field(ge=1024, le=65_535)]


class Settings(BaseSettings):
    """Where things run. Every field is an environment variable `EVERGREEN_<FIELD>`; `.env` in the working directory is read too."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=FILE, env_ignore_empty=True, populate_by_name=True, frozen=True, extra="ignore"
    )

    home: Path = Path("var")
    """What the embedded default writes: landing, batches, quarantine, predictions, site, databases."""
    expectations: Path = Path("expectations")
    """The Great Expectations suites."""
    lock: Path = Path("requirements.txt")
    """The locked packages; a model records their digest and takes its requirements from them."""
    pointer: Path = Path("data/pointer")
    """The file that says which deliveries there are, for problems that fetch them."""
    problem: str = "problem.contract:PROBLEM"
    """Where the contract is, as module:name."""
    journal_url: str = ""
    """SQLAlchemy URL of the journal; empty means SQLite in `home`."""
    mlflow_uri: Annotated[str, Field(validation_alias=AliasChoices("EVERGREEN_MLFLOW_URI", "MLFLOW_TRACKING_URI"))] = ""
    """MLflow tracking URI: a server's, or that of a database of its own; empty means SQLite in `home`."""
    settle_seconds: Annotated[float, Field(ge=0, le=3600)] = 0.5
    """A landing file must hold still this long before it is read."""

    lease_seconds: Annotated[float, Field(ge=1, le=3600)] = 60.0
    """How long a process at work may not stir before another one takes over."""
    poll_seconds: Annotated[float, Field(ge=5, le=86_400)] = 300.0
    """How often the platform looks for what asks for a training, whatever events say."""
    prefect_port: Port = 4200
    """Of the platform's Prefect server."""
    mlflow_port: Port = 5000
    """Of the platform's MLflow server."""
    deployment: Annotated[str, Field(pattern=r"^[\w-]+$")] = "evergreen"
    """Name of both deployments on the Prefect server; homes that share a server need one each."""
    api_host: str = "127.0.0.1"
    """Where the API listens: this machine only, unless said otherwise."""
    api_port: Port = 8000
    """Of the API."""
    api_url: str = ""
    """Where others find the API; empty means on this machine."""
    api_key: SecretStr = SecretStr("")
    """What whoever asks the API must know; empty means nothing."""
    api_docs: bool = True
    """Whether the API shows its document, at /docs and /openapi.json."""
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Where Prometheus finds the API's counters on this machine; 0 means at /metrics of the API itself."""
    serve_site: bool = True
    """Whether the API shows the pages that people read, at /site/."""
    work_pool: str = ""
    """The Prefect work pool that runs the platform's flows; empty means the platform itself does."""
    work_image: str = ""
    """The container image that a work pool of containers starts."""
    alert_urls: SecretStr = SecretStr("")
    """Where alerts are sent: URLs as apprise reads them, separated by spaces, or by commas where another one begins."""
    heartbeat_url: SecretStr = SecretStr("")
    """What is asked for at the end of each look and each round, so that a watcher outside hears when none comes any more."""

    keep_decisions: Annotated[int, Field(ge=1)] = 20
    """A clean-up spares the candidates of so many newest decisions."""
    keep_days: Annotated[float, Field(ge=0, le=36_500)] = 90.0
    """A clean-up spares whatever is younger."""

    @field_validator("home")
    @classmethod
    def _fits_into_a_url(cls, home: Path) -> Path:
        try:
            path = str(home.expanduser().resolve())
        except RuntimeError:
            raise ValueError("expected a path; there is no such person on this machine") from None
        if set("?#%") & set(path):
            raise ValueError("expected a path without ?, # and %, which have a meaning of their own in a database's address")
        if not path.isprintable():
            raise ValueError("expected a path that can be shown, in UTF-8")
        return home

    @field_validator("work_image")
    @classmethod
    def _has_a_pool(cls, image: str, info: ValidationInfo) -> str:
        if image and not info.data.get("work_pool"):
            raise ValueError("expected no image without EVERGREEN_WORK_POOL, the pool that starts it")
        return image

    @property
    def journal(self) -> str:
        """The journal's URL."""
        return self.journal_url or f"sqlite:///{self.root / 'journal.db'}"

    @property
    def mlflow(self) -> str:
        """MLflow's tracking URI, absolute: MLflow's own default follows the working directory. A PostgreSQL is reached through psycopg."""
        return re.sub("^postgres(ql)?://", "postgresql+psycopg://", self.mlflow_uri) or f"sqlite:///{self.root / 'mlflow.db'}"

    @property
    def api(self) -> str:
        """Where the API is found."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - it is looked for, not listened on
        host = everywhere.get(self.api_host, self.api_host)
        return self.api_url.rstrip("/") or f"http://{f'[{host}]' if ':' in host else host}:{self.api_port}"

    @property
    def is_open(self) -> bool:
        """Whether the API answers others than this machine without a key."""
        return not self.api_key.get_secret_value() and not self.api_host.startswith(("127.", "localhost", "::1"))

    @property
    def root(self) -> Path:
        """`home`, absolute."""
        return self.home.expanduser().resolve()

    @property
    def landing(self) -> Path:
        """The folder that deliveries arrive in, one folder a source."""
        return self.root / "landing"

    @property
    def site(self) -> Path:
        """The folder of the pages that people read."""
        return self.root / "site"

    @property
    def metrics(self) -> Path:
        """The folder of what is told to Prometheus; its node_exporter reads every `.prom` in it."""
        return self.root / "metrics"


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises
    ------
    EvergreenError
        A variable has a value that cannot be used, or is no setting; the message names it.
    """
    faults: list[str] = []
    try:
        faults += _unknown(EnvSettingsSource(Settings), "the environment")
        faults += _unknown(DotEnvSettingsSource(Settings), FILE)
        settings = Settings()
    except ValidationError as error:
        faults += [f"{_variable(e['loc'])}: got '{shown(str(e['input']))}', {_words(e['msg'])}" for e in error.errors()]
    except UnicodeDecodeError as error:
        raise EvergreenError(f"{FILE} is not in UTF-8: {error}. Write it anew, see .env.example.") from None
    if faults:
        raise EvergreenError(f"The environment is not right: {'; '.join(faults)}. See .env.example.")
    return settings


def _unknown(source: EnvSettingsSource, place: str) -> Iterator[str]:
    """A sentence for each name that is meant for us and is no setting's: it would be as if nobody had set it."""
    known = {_variable((name,)) for name in Settings.model_fields}
    for name, value in sorted((name.upper(), value) for name, value in source.env_vars.items()):
        if name.startswith(PREFIX) and name not in known | OF_THE_PLATFORM | OF_CONTAINERS and not OF_A_CLUSTER.search(f"{name}={value}"):
            near = get_close_matches(name.removeprefix(PREFIX), [one.removeprefix(PREFIX) for one in known], n=1)
            yield f"{shown(name)} in {place} is no setting{f' (is {PREFIX}{near[0]} meant?)' if near else ''}"


def _words(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"{message[0].lower()}{message[1:]}"


def _variable(place: tuple[int | str, ...]) -> str:
    name = ".".join(map(str, place)).upper()
    return name if name == "MLFLOW_TRACKING_URI" else f"{PREFIX}{name.removeprefix(PREFIX)}"
