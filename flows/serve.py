"""`python -m flows.serve`: what `evergreen serve` becomes, a process of its own that has nothing but the server in it."""

from __future__ import annotations

import os
import sys

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

ALONE_SECONDS = 5.0
"""For one that is just ending."""


def main() -> int:
    """Serve until told to end; failures are one sentence on the error stream."""
    os.environ.update(ONE_THREAD | {"PYTHONDONTWRITEBYTECODE": "1"})
    from evergreen.errors import EvergreenError
    from evergreen.quoting import revealed

    try:
        return _serve()
    except EvergreenError as error:
        sys.stderr.write(f"{revealed(str(error))}\n")
        return error.exit_code


def _serve() -> int:
    import asyncio
    from datetime import UTC, datetime

    import uvloop

    from evergreen.errors import ContractError
    from evergreen.files import lock
    from evergreen.monitoring.exposition import Figures
    from evergreen.registry import Registry
    from evergreen.serving.server import run
    from evergreen.serving.service import Service
    from evergreen.settings import load_settings
    from evergreen.workspace import load_problem, open_workspace

    settings = load_settings()
    problem = load_problem(settings.problem)
    policy = problem.online
    if policy is None:
        raise ContractError("The contract has no `online`, so nothing is served over HTTP. Write online=OnlinePolicy() into it first.")

    def open_registry() -> Registry:
        return open_workspace().registry

    async def serve() -> bool:
        service = Service(settings, problem, policy, open_registry=open_registry, tell=_say)
        service.metrics.whole.register(Figures(open_workspace, lambda: datetime.now(UTC)))
        return await run(service)

    # Two servers on one home would remove each other's copies, and each other's file of what is left to be logged.
    alone = lock(settings.root / "serving" / ".lock", holder="serving this home over HTTP", seconds=ALONE_SECONDS)
    with alone, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = 0 if runner.run(serve()) else 1
        # All is done; a thread that waits for a database that does not answer is not waited for.
        sys.stdout.flush()
        os._exit(code)


def _say(sentence: str) -> None:
    from evergreen.quoting import revealed

    sys.stdout.write(f"{revealed(sentence)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
