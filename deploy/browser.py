"""Chromium or Chrome without a window, spoken to over a pair of pipes in its own protocol (Chrome DevTools); no network, nothing kept."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

NAMES = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser", "chrome")
# No name resolves, and nothing is asked for that no page asks for. The sandbox, which containers lack, is off: the pages are our own.
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio", "--no-first-run"),
    *("--no-default-browser-check", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-extensions", "--disable-default-apps", "--metrics-recording-only", "--host-resolver-rules=MAP * ~NOTFOUND"),
)
PIPED = 'exec "$@" 3<&"$ASKED" 4>&"$ANSWERED"'
"""What bash does: the browser reads from 3 and writes to 4."""
SECONDS, END_SECONDS = 60.0, 10.0
MOST = 1 << 20


class BrowserError(Exception):
    """The browser refused, ended, or did not answer in time."""


@dataclass
class Browser:
    """A running browser: commands go in, answers and events come out."""

    asked: int
    """The descriptor that it reads from."""
    answered: int
    """The one that it writes to."""
    events: list[dict[str, Any]] = field(default_factory=list)
    """What it told unasked and nobody has taken yet, oldest first."""
    number: int = 0
    rest: bytes = b""

    def send(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Give a command and wait for its answer; `session` is a tab."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        content = json.dumps(message).encode() + b"\0"
        while content:
            content = content[os.write(self.asked, content) :]
        answer = self._until(lambda told: told.get("id") == self.number, method)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        return dict(answer["result"])

    def wait(self, event: str, session: str) -> None:
        """Wait until an event of a tab has come."""
        if not any(_is(told, event, session) for told in self.events):
            self._until(lambda told: _is(told, event, session), event)

    def taken(self) -> list[dict[str, Any]]:
        """The events so far, which are then forgotten."""
        events, self.events = self.events, []
        return events

    def _until(self, is_it: Any, what: str) -> dict[str, Any]:
        """Read on until the message comes that is waited for; events are kept."""
        until = time.monotonic() + SECONDS
        while True:
            while b"\0" in self.rest:
                text, _, self.rest = self.rest.partition(b"\0")
                told: dict[str, Any] = json.loads(text)
                if "id" not in told:
                    self.events.append(told)
                if is_it(told):
                    return told
            if not select.select([self.answered], [], [], max(0.0, until - time.monotonic()))[0]:
                raise BrowserError(f"the browser has not answered {what} in {SECONDS:g} seconds")
            read = os.read(self.answered, MOST)
            if not read:
                raise BrowserError(f"the browser ended before it answered {what}")
            self.rest += read


def find_browser(wanted: str = "") -> str | None:
    """The program that is wanted, or the first that is here; None where there is none."""
    return next((found for name in ([wanted] if wanted else NAMES) if (found := shutil.which(name))), None)


@contextmanager
def running(program: str) -> Iterator[Browser]:
    """A browser with a profile of its own, which is gone afterwards."""
    theirs, ours = os.pipe(), os.pipe()
    numbers = {"ASKED": str(theirs[0]), "ANSWERED": str(ours[1])}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            ["bash", "-c", PIPED, "bash", program, *FLAGS, "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"],
            env=os.environ | numbers | {"HOME": profile},
            pass_fds=(theirs[0], ours[1]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs[0])
        os.close(ours[1])
        browser = Browser(theirs[1], ours[0])
        try:
            yield browser
        finally:
            _end(browser, process)


@contextmanager
def tab(browser: Browser) -> Iterator[str]:
    """A new tab; its name is the `session` of commands."""
    target = browser.send("Target.createTarget", url="about:blank")["targetId"]
    session = str(browser.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
    for domain in ("Page", "Runtime", "Log", "Network"):
        browser.send(f"{domain}.enable", session)
    yield session
    browser.send("Target.closeTarget", targetId=target)


def value_of(browser: Browser, session: str, script: str) -> Any:
    """What a script comes to in the page; a promise is waited for."""
    told = browser.send("Runtime.evaluate", session, expression=script, awaitPromise=True, returnByValue=True)
    if "exceptionDetails" in told:
        raise BrowserError(f"a script of the check failed: {told['exceptionDetails'].get('exception', {}).get('description', told)}")
    return told["result"].get("value")


def _is(told: dict[str, Any], event: str, session: str) -> bool:
    return told.get("method") == event and told.get("sessionId") == session


def _end(browser: Browser, process: subprocess.Popen[bytes]) -> None:
    """Ask it to go; one that does not is ended."""
    try:
        browser.send("Browser.close")
    except (BrowserError, OSError):
        process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    os.close(browser.asked)
    os.close(browser.answered)
