"""Before a version is promoted it shows that it can serve: in a real worker where it is to answer over HTTP, else as batches do."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from evergreen.errors import ModelError
from evergreen.prediction import KEY, check_replay, compare_answers, reproduce_golden
from evergreen.quoting import quoted

if TYPE_CHECKING:
    from evergreen.registry import Registry, Version

ANSWER_SECONDS = 60.0
ASKED = 200
"""Golden rows that are asked one by one, as requests come."""


def rehearse(registry: Registry, version: Version) -> None:
    """Load a version as it would serve and compare what it says of its golden rows with what training said.

    Raises
    ------
    ModelError
        It fails, or its answers differ by more than 1e-9.
    StoreError
        The stored model or its golden rows are not what the journal says.
    """
    if registry.problem.online is None:
        reproduce_golden(registry, version)
        return
    with ThreadPoolExecutor(1) as elsewhere:  # whoever promotes may have an event loop of its own
        elsewhere.submit(lambda: asyncio.run(_in_time(registry, version))).result()


async def _in_time(registry: Registry, version: Version) -> None:
    """Whatever keeps a version from being rehearsed keeps it from being promoted: the way back must stay open."""
    from evergreen.serving.workers import DiedError, NotReadyError

    seconds = registry.problem.cost.max_load_seconds + ANSWER_SECONDS
    try:
        async with asyncio.timeout(seconds):
            await _rehearse(registry, version)
    except DiedError:
        raise ModelError(f"The process of version {version.number} ended at its golden rows. Is there enough memory?") from None
    except TimeoutError:
        raise ModelError(f"Version {version.number} has not answered its golden rows within {seconds:g} s.") from None
    except NotReadyError as error:
        raise ModelError(str(error)) from None
    except OSError as error:
        raise ModelError(f"Version {version.number} could not be tried as it would serve: {error.strerror or error}.") from None


async def _rehearse(registry: Registry, version: Version) -> None:
    import pandas as pd

    from evergreen.serving.copies import columns_of_version
    from evergreen.serving.frames import plain_rows
    from evergreen.serving.schema import Schema
    from evergreen.serving.unfit import UnfitError
    from evergreen.serving.worker import Order
    from evergreen.serving.workers import Refused, Worker

    file = registry.evidence_folder(version) / "golden.parquet"
    order = Order(version.number, registry.folder(version), file, tuple(version.facts["trusted_types"]))
    schema = Schema(columns_of_version(version.facts, file), registry.problem.key, max_rows=ASKED)
    worker = await Worker.start(order, seconds=registry.problem.cost.max_load_seconds)
    golden = pd.read_parquet(file).set_index(KEY).head(ASKED)
    said: list[dict[str, Any]] = []
    try:
        for row in plain_rows(golden[schema.names]):
            answer = await worker.ask(schema.read_rows([row]).columns)
            said.append({name: values[0] for name, values in answer.items()})
    except UnfitError as error:
        raise ModelError(f"Version {version.number} cannot be asked what it was trained on: {error.faults[0]}.") from None
    except Refused as error:
        raise ModelError(f"Version {version.number} fails at a row that it has answered in training: {quoted(error)}") from None
    finally:
        if worker.is_busy:
            worker.kill()
        await worker.stop()
    check_replay(version.number, compare_answers("row by row, over the serving path", golden, pd.DataFrame(said, index=golden.index)))
