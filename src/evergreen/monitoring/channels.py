"""Where alerts go: always to the console, and through apprise to e-mail, chat or a webhook, by the URLs that it understands."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evergreen.errors import RefusedError

if TYPE_CHECKING:
    import apprise

SEND_SECONDS = 8.0
"""How long all channels together may take. apprise itself gives up a connection after four seconds, and an answer after four more."""
SCHEME = re.compile(r"([a-z][a-z0-9+.-]{0,19})://")
BETWEEN = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)|\s+")


@dataclass(frozen=True)
class Channels:
    """The console, which is given every sentence, and the URLs that apprise sends to."""

    console: Callable[[str], None]
    urls: tuple[str, ...] = field(default=(), repr=False)
    seconds: float = SEND_SECONDS

    def say(self, text: str) -> None:
        """Give the console a sentence; one that cannot take it (a closed pipe, a character that it lacks) keeps nobody from being told."""
        with suppress(Exception):
            self.console(text)

    def send(self, title: str, body: str) -> list[str]:
        """Send to all URLs at once; returns a sentence for each that failed, without its URL, for that holds secrets."""
        sent: list[str | None] = ["did not answer in time"] * len(self.urls)

        def post(number: int) -> None:
            sent[number] = _post(self.urls[number], title, body)

        # Daemons: one that hangs for ever keeps no command from ending.
        threads = [threading.Thread(target=post, args=(number,), daemon=True) for number in range(len(self.urls))]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + self.seconds
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))
        stands = "What it was to tell stands here"
        return [f"{_named(number, self.urls)} {fault}. {stands}." for number, fault in enumerate(list(sent)) if fault]


def split_urls(text: str) -> tuple[str, ...]:
    """The URLs of a setting, separated by spaces, or by commas where another URL begins: one inside a URL belongs to it."""
    return tuple(url.rstrip(",") for url in BETWEEN.split(text.strip(" ,\t\r\n")) if url.rstrip(","))


def refuse_bad(setting: str) -> None:
    """See that every address of the setting is understood, before the first alert is to go there; nothing is sent.

    Raises
    ------
    RefusedError
        One is not; the message has its number and kind, not the address.
    """
    urls = split_urls(setting)
    bad = [_named(number, urls) for number, url in enumerate(urls) if not _is_understood(url)]
    if bad:
        raise RefusedError(f"{', '.join(bad)}: no address that apprise understands. Correct EVERGREEN_ALERT_URLS, then run again.")


def _post(url: str, title: str, body: str) -> str | None:
    """Send to one URL; None when it was taken, else what went wrong. No text of apprise's is repeated: it may quote the URL."""
    try:
        sender = _sender(url)
        if sender is None:
            return "is no address that apprise understands; correct EVERGREEN_ALERT_URLS"
        return None if sender.notify(title=title, body=body) else "did not take the message; see that it is up and lets us in"
    except Exception as error:  # whatever a channel does, the run goes on
        return f"failed with {type(error).__name__}"


def _sender(url: str) -> apprise.Apprise | None:
    """What sends to one URL; None when apprise does not understand it."""
    # It would print to the console what it could not send, with parts of the URL.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    import apprise

    sender = apprise.Apprise()
    return sender if sender.add(url) else None


def _is_understood(url: str) -> bool:
    with suppress(Exception):  # some kinds of address are looked at with care, and some are not
        return _sender(url) is not None
    return False


def _named(number: int, urls: Sequence[str]) -> str:
    scheme = SCHEME.match(urls[number].lower())
    kind = f" ({scheme[1]})" if scheme else ""
    return f"Alert channel {number + 1} of {len(urls)}{kind}"
