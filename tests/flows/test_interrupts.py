"""Ctrl-C is heard where one alone would be lost."""

import os
import signal
import subprocess
import sys
import time

import pytest
from waiting import PATIENCE

BEGIN = """
import signal, sys, time
from flows import interrupts
interrupts.AGAIN_SECONDS = 0.3
with interrupts.insisting() as asked:
    try:
        print("ready", flush=True)
"""
SWALLOWED = """
        for _ in range(2):
            try:
                time.sleep(600)
            except KeyboardInterrupt:
                pass
"""
LOST_IN_A_DESTRUCTOR = """
        class Slow:
            def __del__(self):
                time.sleep(600)
        slow = Slow()
        del slow
        time.sleep(600)
"""
TAKEN_FOR_AN_ERROR_AND_TOLD = """
        try:
            time.sleep(600)
        except BaseException as error:
            print(f"failed: {error}", file=sys.stderr)
        time.sleep(600)
"""
ONCE = """
        time.sleep(600)
"""
END = """
    except KeyboardInterrupt:
        print("heard", asked.is_set())
"""


@pytest.mark.parametrize(
    "work",
    [ONCE, SWALLOWED, LOST_IN_A_DESTRUCTOR, TAKEN_FOR_AN_ERROR_AND_TOLD],
    ids=["at once", "swallowed", "lost in a destructor", "told"],
)
def test_an_interrupt_comes_again_until_it_is_heard(work: str):
    lines = work if work is not SWALLOWED else SWALLOWED + "        time.sleep(600)\n"
    with subprocess.Popen(
        [sys.executable, "-c", BEGIN + lines + END], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (0, "heard True\n", "")


def test_who_started_it_with_interrupts_ignored_gets_none():
    with subprocess.Popen(
        [sys.executable, "-c", BEGIN + "        time.sleep(1)\n" + END + "print('done', asked.is_set())"],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # noqa: PLW1509 - what nohup does
    ) as process:
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (0, "done False\n")
