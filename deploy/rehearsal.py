"""`make compose-rehearsal`: what compose.yaml says, as processes of this machine, and a prediction at the end; it needs no engine.

Services, commands, environment, secrets and health checks are read from compose.yaml; only addresses and folders are others. PostgreSQL is
this machine's (Debian: apt install postgresql). An S3 server for tests stands in for the object store. Images, networks, limits: not tried.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[1]
PORTS = {"postgres": 5432, "store": 7070, "mlflow": 5000, "prefect": 4200, "api": 8000}
"""Where the services listen inside; the last three of them by a word of their command, or a setting."""
SHARED = {"runner": "home", "api": "home"}
"""Who works on which volume, where it has not the service's own name."""
THROUGH, BUCKET = "2013-06", "mlflow"
HEALTHY_SECONDS, ROUND_SECONDS, STOP_SECONDS, INSTALL_SECONDS = 150.0, 900.0, 50.0, 600.0
SAME = 1e-9


@dataclass
class Stage:
    """Where everything is that compose.yaml has elsewhere, and what was started."""

    folder: Path
    ports: dict[str, int] = field(default_factory=lambda: {name: _free_port() for name in PORTS})
    processes: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list)

    @cached_property
    def services(self) -> dict[str, dict[str, Any]]:
        """The services of compose.yaml."""
        return dict(yaml.safe_load((ROOT / "compose.yaml").read_text())["services"])

    @property
    def secrets(self) -> Path:
        """The folder of the secrets."""
        return self.folder / "project" / "secrets"

    def secret(self, name: str) -> str:
        """What stands in a secret's file."""
        return (self.secrets / name).read_text().strip()

    def place(self, text: object, service: str) -> str:
        """A text of compose.yaml, with the addresses and the folders of here."""
        said = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(text)).replace("/tmp/", f"{self.folder}/tmp-{service}-")
        said = said.replace("/run/secrets", str(self.secrets)).replace("/var/lib/evergreen", str(self.home(service)))
        for name, port in PORTS.items():
            said = re.sub(rf"\b({name}|127\.0\.0\.1):{port}\b", f"127.0.0.1:{self.ports[name]}", said)
        return str(self.ports[service]) if said == str(PORTS.get(service)) else said

    def home(self, service: str) -> Path:
        """The folder that is a service's volume."""
        folder = self.folder / SHARED.get(service, service)
        folder.mkdir(exist_ok=True)
        return folder

    def environment(self, service: str) -> dict[str, str]:
        """What a service finds in its environment: the image's, then its own."""
        image = {"EVERGREEN_EXPECTATIONS": str(ROOT / "expectations"), "EVERGREEN_LOCK": str(ROOT / "requirements.txt")}
        image |= {"HOME": str(self.folder), "EVERGREEN_HOME": str(self.home(service)), "EVERGREEN_API_PORT": str(self.ports["api"])}
        image |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        return image | {name: self.place(value, service) for name, value in self.services[service]["environment"].items()}

    def start(self, name: str, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start a process, with a log of its own."""
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        self.processes.append((name, process))
        return process

    def serve(self, name: str) -> None:
        """Start a service of ours, and wait until its health check says so."""
        service, environment = self.services[name], self.environment(name)
        command = [self.place(word, name) for word in service["command"]]
        process = self.start(name, [str(ROOT / "deploy" / "entrypoint"), *command], environment)
        check = [self.place(word, name) for word in service["healthcheck"]["test"][1:]]

        def healthy() -> bool:
            return subprocess.run(check, env=environment, cwd=ROOT, capture_output=True, check=False).returncode == 0

        self.wait(f"{name} is healthy", healthy, HEALTHY_SECONDS, process)

    def wait(self, what: str, holds: Callable[[], bool], seconds: float, process: subprocess.Popen[bytes]) -> None:
        """Wait for something, as long as a process lives; end everything where it does not come to hold."""
        began = time.monotonic()
        while not holds():
            if process.poll() is not None or time.monotonic() - began > seconds:
                logs = "\n".join(f"{file.name}: {file.read_text()[-1500:]}" for file in sorted(self.folder.glob("*.log")))
                sys.exit(f"{what}: not so after {time.monotonic() - began:.0f} s\n{logs}")
            time.sleep(0.5)
        print(f"{what} after {time.monotonic() - began:.1f} s", flush=True)


def main() -> None:
    """Start everything in its order, let the runner work on the example, ask the API, and see that all ends when told to."""
    with tempfile.TemporaryDirectory(prefix="evergreen-rehearsal-", ignore_cleanup_errors=True) as name, ended(Stage(Path(name))) as stage:
        stage.folder.chmod(0o755)
        make_secrets(stage)
        start_postgres(stage)
        start_store(stage)
        for service in ("mlflow", "prefect", "runner", "api"):
            stage.serve(service)
        feed = [str(ROOT / "deploy" / "entrypoint"), "evergreen", "feed", "--through", THROUGH]
        subprocess.run(feed, env=stage.environment("runner"), cwd=ROOT, check=True)
        api = dict(stage.processes)["api"]
        stage.wait("the API has a champion", lambda: ask(stage, "/health/ready")[0] == 200, ROUND_SECONDS, api)
        see_golden_row(stage)


def make_secrets(stage: Stage) -> None:
    """Make them as a person would, and put this machine's address into those that have one."""
    (stage.folder / "project" / "deploy").mkdir(parents=True)
    script = shutil.copy(ROOT / "deploy" / "secrets", stage.folder / "project" / "deploy" / "secrets")
    subprocess.run([script], check=True, stdout=subprocess.DEVNULL)
    for file in stage.secrets.iterdir():
        address = file.read_text().replace("@postgres/", f"@127.0.0.1:{stage.ports['postgres']}/")
        file.chmod(0o600)
        file.write_text(address)


def start_postgres(stage: Stage) -> None:
    """An empty server, then the script that the composition gives it."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        sys.exit("Got no PostgreSQL in /usr/lib/postgresql. Install one (Debian: apt install postgresql), then run again.")
    programs, folder, port = found[-1], stage.home("postgres"), str(stage.ports["postgres"])
    (folder / "password").write_text(stage.secret("postgres_password"))
    account = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []  # it refuses root
    if account:
        for path in (folder, folder / "password"):
            shutil.chown(path, "postgres", "postgres")
    words = ["--auth=scram-sha-256", "--username=postgres", f"--pwfile={folder / 'password'}", "--encoding=UTF8", "--no-sync"]
    subprocess.run([*account, str(programs / "initdb"), *words, str(folder / "data")], check=True, stdout=subprocess.DEVNULL)
    options = [f"--port={port}", "--listen_addresses=127.0.0.1", f"--unix_socket_directories={folder}"]
    server = stage.start("postgres", [*account, str(programs / "postgres"), "-D", str(folder / "data"), *options], dict(os.environ))
    # As its health check asks, at the port of here.
    check = [str(programs / stage.services["postgres"]["healthcheck"]["test"][1]), "--quiet", "--host=127.0.0.1", f"--port={port}"]
    stage.wait("postgres is healthy", lambda: subprocess.run(check, check=False).returncode == 0, HEALTHY_SECONDS, server)
    script = stage.place((ROOT / "deploy" / "databases.sh").read_text(), "postgres")
    where = {"POSTGRES_USER": "postgres", "PGPASSWORD": stage.secret("postgres_password"), "PGHOST": "127.0.0.1", "PGPORT": port}
    subprocess.run(["/bin/sh", "-c", script], env={**os.environ, **where}, check=True, stdout=subprocess.DEVNULL)


def start_store(stage: Stage) -> None:
    """An S3 server for tests, in an environment that is thrown away, with the bucket in it."""
    environment = stage.folder / "moto"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    install = [str(environment / "bin" / "pip"), "install", "--quiet", "moto[server]"]
    subprocess.run(install, check=True, timeout=INSTALL_SECONDS)
    command = [str(environment / "bin" / "moto_server"), "--host", "127.0.0.1", "--port", str(stage.ports["store"])]
    server = stage.start("store", command, dict(os.environ))

    def answers() -> bool:
        with socket.socket() as line:
            return line.connect_ex(("127.0.0.1", stage.ports["store"])) == 0

    stage.wait("the store answers", answers, HEALTHY_SECONDS, server)
    store(stage).create_bucket(Bucket=BUCKET)


def store(stage: Stage) -> Any:
    """The object store, as MLflow's server sees it."""
    import boto3

    keys = {"aws_access_key_id": stage.secret("store_access_key"), "aws_secret_access_key": stage.secret("store_secret_key")}
    return boto3.client("s3", endpoint_url=f"http://127.0.0.1:{stage.ports['store']}", region_name="us-east-1", **keys)


def see_golden_row(stage: Stage) -> None:
    """Ask the API a row of the training's, which is in the store: without the key nothing is told, with it the answer of then."""
    import pandas as pd

    bucket = store(stage)
    key = next(one["Key"] for one in bucket.list_objects_v2(Bucket=BUCKET)["Contents"] if one["Key"].endswith("evidence/golden.parquet"))
    bucket.download_file(BUCKET, key, str(stage.folder / "golden.parquet"))
    golden = pd.read_parquet(stage.folder / "golden.parquet").astype(object)
    row = golden.where(golden.notna(), None).iloc[0].to_dict()
    decision, probability = row.pop("decision"), row.pop("probability")
    del row["golden_row"]
    if ask(stage, "/predict", row)[0] != 401:
        sys.exit("The API answers whoever does not know its key.")
    status, said = ask(stage, "/predict", row, key=stage.secret("api_key"))
    if status != 200 or said["decision"] != decision or abs(said["probability"] - probability) > SAME:
        sys.exit(f"The API says {status}: {said}; in training it was decision {decision} with probability {probability}.")
    print(f"the API answers as in training: {said}", flush=True)


def ask(stage: Stage, path: str, body: Any = None, *, key: str = "") -> tuple[int, Any]:
    """Ask the API: the status, 0 where nobody answers, and what it said."""
    headers = {"content-type": "application/json", **({"x-api-key": key} if key else {})}
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{stage.ports['api']}{path}", content, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, None


@contextmanager
def ended(stage: Stage) -> Iterator[Stage]:
    """End what was started, the last first; tell who does not go."""
    try:
        yield stage
    finally:
        late = []
        for name, process in reversed(stage.processes):
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                late.append(name)
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
        print(f"ended{': ' + ', '.join(late) + ' had to be killed' if late else ''}", flush=True)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    main()
