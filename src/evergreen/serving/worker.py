"""What the process of one version does: load it with its own code, answer its golden rows, then answer whatever it is asked."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.errors import EvergreenError, ModelError
from evergreen.quoting import in_words

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

READY, FAILED, HINDERED = "ready", "failed", "hindered"
PR_SET_PDEATHSIG = 1
WARM_UP = (1, 1, 64)
"""Rows of the predictions that are made before the first request: what only the first call does is done then."""


@dataclass(frozen=True)
class Order:
    """Which version a process is for."""

    version: int
    model: Path
    """Its folder, whose digest was checked."""
    golden: Path
    """Its golden rows, checked too."""
    trusted: tuple[str, ...] = ()
    """The contract's `trusted_types` when it was registered."""


def work(connection: Connection, order: Order) -> None:
    """Be the worker of a version until the other end of `connection` is closed.

    It sends (READY, facts) first, or (FAILED, sentence) where the version is to blame, or (HINDERED, sentence) where the machine is, which
    has no memory, no file or no room left. Then each message (number, columns) is answered by (number, None, answers) or,
    where the model failed, by (number, sentence, None).
    """
    import msgpack

    end_with_parent()
    try:
        answer, facts = _prepare(order)
    except (MemoryError, OSError) as error:
        connection.send_bytes(msgpack.packb((HINDERED, sentence(error))))
        return
    except Exception as error:  # the model's own code may raise anything
        said = in_words(error) if isinstance(error, EvergreenError) else f"{type(error).__name__}: {in_words(error, most=500)}"
        connection.send_bytes(msgpack.packb((FAILED, said)))
        return
    connection.send_bytes(msgpack.packb((READY, facts)))
    while True:
        try:
            number, columns = msgpack.unpackb(connection.recv_bytes())
        except (EOFError, OSError):
            return
        reply: tuple[int, str | None, dict[str, list[Any]] | None]
        try:
            reply = (number, None, answer(columns))
        except Exception as error:  # again anything; the other requests go on
            reply = (number, sentence(error), None)
        try:
            connection.send_bytes(msgpack.packb(reply))
        except OSError:
            return


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends: one that computes for ever would not notice it (Linux only)."""
    parent = os.getppid()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended just before
        os._exit(1)


def sentence(error: Exception) -> str:
    """What went wrong, in one line that is not too long, without where."""
    told = " ".join(str(error).split())[:500]
    return told if isinstance(error, EvergreenError) else f"{type(error).__name__}: {told}"


def _prepare(order: Order) -> tuple[Callable[[dict[str, list[Any]]], dict[str, list[Any]]], dict[str, Any]]:
    """How the version answers columns, once it has shown that it answers its golden rows as training did."""
    import msgpack
    import numpy as np
    import pandas as pd
    import threadpoolctl

    from evergreen.artefact import load_artefact
    from evergreen.candidate import answers
    from evergreen.prediction import KEY, check_replay, compare_answers
    from evergreen.serving.frames import Framer, plain_columns

    threadpoolctl.threadpool_limits(1)
    _insist_on_one_thread()
    golden = pd.read_parquet(order.golden).set_index(KEY)
    model = load_artefact(order.model, trusted=order.trusted)
    rows = golden[model.features]
    framer = Framer(rows)

    def answer(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
        said = {name: np.asarray(values) for name, values in answers(model.estimator, framer.frame(columns)).items()}
        if not all(np.isfinite(values).all() for values in said.values() if np.issubdtype(values.dtype, np.number)):
            raise ModelError("an answer that is not a finite number")
        return {name: values.tolist() for name, values in said.items()}

    # Along the way of every request: as plain values, and made into a frame again.
    again = pd.DataFrame(answer(msgpack.unpackb(msgpack.packb(plain_columns(rows)))), index=golden.index)
    check_replay(order.version, compare_answers("in a serving worker", golden, again))
    for count in WARM_UP:
        answer(plain_columns(rows.head(count)))
    gc.collect()
    gc.freeze()  # what has been loaded is never looked through again
    return answer, {"example": plain_columns(rows.head(1))}


def _insist_on_one_thread() -> None:
    """Threads that spin for the same cores made one row in a hundred wait for more than a second.

    Raises
    ------
    ModelError
        A library computes with several.
    """
    from threadpoolctl import threadpool_info

    if several := sorted({str(one["prefix"]) for one in threadpool_info() if one["num_threads"] > 1}):
        raise ModelError(f"{', '.join(several)} would compute with several threads. Start the server with OMP_NUM_THREADS=1.")
