"""`python -m evergreen.serving`: what `evergreen serve` becomes, so that workers are forked from a process that knows no command."""

from __future__ import annotations

import os
import sys

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def main() -> int:
    """Serve; failures are one sentence on the error stream."""
    os.environ.update(ONE_THREAD)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    from evergreen.errors import EvergreenError

    try:
        return _serve()
    except EvergreenError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


def _serve() -> int:
    import uvloop

    from evergreen.errors import ContractError
    from evergreen.serving.server import run
    from evergreen.serving.service import Service
    from evergreen.settings import load_settings
    from evergreen.workspace import load_problem, open_workspace

    settings = load_settings()
    problem = load_problem(settings.problem)
    if (policy := problem.online) is None:
        raise ContractError("The contract has no `online`, so nothing is served over HTTP. Write online=OnlinePolicy() into it first.")

    async def serve() -> bool:
        return await run(Service(settings, problem, policy, open_space=open_workspace, tell=_say))

    return 0 if uvloop.run(serve()) else 1


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
