"""The servers: how each is started, what it is posted, and where the decisions stand in its answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.serving import environments
from benchmarks.serving.champion import Asked

OURS, MLFLOW, BENTO, MLSERVER, ECHO = "Evergreen", "mlflow models serve", "BentoML", "MLServer", "echo (uvicorn alone)"
PEERS = Path(__file__).with_name("peers")
DATATYPES = {"integer": "INT64", "number": "FP64", "text": "BYTES"}
BATCH = {"max_batch_size": 64, "max_batch_time": 0.005}
"""MLServer has no adaptive batching unless it is told how; it waits so long (s) for a batch to fill."""


@dataclass(frozen=True)
class Contender:
    """One server."""

    name: str
    version: str
    command: Callable[[int], list[str]]
    """What starts it on a port."""
    route: str
    body: Callable[[dict[str, Any]], Any]
    """What is posted for one row."""
    decision: Callable[[Any], int | None]
    """The decision in its answer; None where it makes none."""
    environment: dict[str, str] = field(default_factory=dict)


def ours(home: Path) -> Contender:
    """The whole product on a home of its own: schema, a process for the version, the log of predictions."""
    command = [sys.executable, "-P", "-m", "flows.serve"]
    environment = {"EVERGREEN_HOME": str(home)}
    return Contender(OURS, version("evergreen"), lambda _: command, "/predict", lambda row: row, lambda said: said["decision"], environment)


def mlflow(asked: Asked) -> Contender:
    """MLflow's own server on the same folder."""
    program = [str(Path(sys.executable).with_name("mlflow")), "models", "serve", "--env-manager", "local", "-m", str(asked.model)]
    names = list(asked.kinds)
    return Contender(
        MLFLOW,
        version("mlflow"),
        lambda port: [*program, "--host", "127.0.0.1", "--port", str(port)],
        "/invocations",
        lambda row: {"dataframe_split": {"columns": names, "data": [list(row.values())]}},
        lambda said: said["predictions"][0],
    )


def bento(asked: Asked, folder: Path) -> Contender:
    """BentoML with adaptive batching."""
    program = [str(folder / "bentoml" / "bin" / "bentoml"), "serve", "flights_bentoml:Flights", "--working-dir", str(PEERS)]
    return Contender(
        BENTO,
        environments.version_in(BENTO, folder),
        lambda port: [*program, "--host", "127.0.0.1", "--port", str(port)],
        "/predict",
        lambda row: {"rows": [row]},
        lambda said: said[0]["decision"],
        {**_model(asked), "BENTOML_HOME": str(folder / "bentoml" / "home"), "BENTOML_DO_NOT_TRACK": "true"},
    )


def mlserver(asked: Asked, folder: Path, scratch: Path, ports: list[int]) -> Contender:
    """MLServer with adaptive batching; it wants two more ports, for gRPC and metrics."""
    place = scratch / "mlserver"
    place.mkdir()
    (place / "model-settings.json").write_text(json.dumps({"name": "flights", "implementation": "flights_mlserver.Flights", **BATCH}))

    def command(port: int) -> list[str]:
        settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": ports[0], "metrics_port": ports[1], "debug": False}
        (place / "settings.json").write_text(json.dumps({**settings, "environments_dir": str(place)}))
        return [str(folder / "mlserver" / "bin" / "mlserver"), "start", str(place)]

    def body(row: dict[str, Any]) -> Any:
        return {
            "inputs": [{"name": one, "shape": [1], "datatype": DATATYPES[kind], "data": [row[one]]} for one, kind in asked.kinds.items()]
        }

    def decision(said: Any) -> int:
        return next(int(one["data"][0]) for one in said["outputs"] if one["name"] == "decision")

    environment = {**_model(asked), "PYTHONPATH": str(PEERS)}
    name, number = "/v2/models/flights/infer", environments.version_in(MLSERVER, folder)
    return Contender(MLSERVER, number, command, name, body, decision, environment)


def echo() -> Contender:
    """What the HTTP side costs at the least."""
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "critical", "--host", "127.0.0.1"]
    program = [sys.executable, "-P", "-m", "uvicorn", "echo:app", "--app-dir", str(PEERS), *options]
    return Contender(ECHO, version("uvicorn"), lambda port: [*program, "--port", str(port)], "/", lambda row: row, lambda _: None)


def _model(asked: Asked) -> dict[str, str]:
    return {"BENCH_MODEL": str(asked.model), "BENCH_SAMPLE": str(asked.sample)}
