"""Ctrl-C, heard whenever it comes."""

from __future__ import annotations

import io
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

AGAIN_SECONDS = 2.0
_heard = threading.Event()


def heard() -> None:
    """Say that an interrupt has arrived where things are put in order, which no other may disturb."""
    _heard.set()


@contextmanager
def insisting() -> Iterator[threading.Event]:
    """Raise KeyboardInterrupt at Ctrl-C, and again after a while, until the block is left; the event tells that there was one.

    One interrupt alone can be lost: Python only prints it when it comes in a destructor or a callback of a weak reference, and some
    libraries take it for an error of their own. What they say of that is not shown: from the first interrupt on, standard error is closed
    to this process until the block is left.
    """
    asked, stderr = threading.Event(), sys.stderr
    _heard.clear()

    def insist() -> None:
        while not _heard.wait(AGAIN_SECONDS):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def interrupt(_: int, __: FrameType | None) -> NoReturn:
        if not asked.is_set():
            asked.set()
            sys.stderr = io.StringIO()
            threading.Thread(target=insist, daemon=True).start()
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield asked  # whoever started this wants no interrupts (nohup, a job in the background)
        return
    signal.signal(signal.SIGINT, interrupt)
    sys.unraisablehook = lambda lost: None if lost.exc_type is KeyboardInterrupt else sys.__unraisablehook__(lost)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        heard()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.unraisablehook, sys.stderr = sys.__unraisablehook__, stderr
