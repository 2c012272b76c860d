"""`python -m flows.mlflow_server ...`: `mlflow server ...` without the process that starts the server and then only waits for it."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn


def main() -> None:
    """Become the server.

    MLflow's command imports all of MLflow (250 MB), starts uvicorn as another process and waits for that one to end. Here it is replaced
    by it. Should MLflow start its server in another way one day, there are two processes again, and nothing else changes.
    """
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # jobs would be run by the process that is no more
    import mlflow.server
    from mlflow.cli import cli

    mlflow.server._exec_cmd = _become  # type: ignore[attr-defined,assignment]  # there is no public word for it
    cli(["server", *sys.argv[1:]])


def _become(command: list[str], *, extra_env: dict[str, str], **_: Any) -> NoReturn:
    sys.stdout.flush()
    os.execvpe(command[0], command, {**os.environ, **extra_env})


if __name__ == "__main__":
    main()
