"""Where alerts go: always to the console, and through apprise to e-mail, chat or a webhook, by the URLs that it understands."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

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

    def send(self, title: str, body: str) -> None:
        """Send to all URLs at once; of each that fails the console is told in one sentence, without its URL, for that holds secrets."""
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
        for number, fault in enumerate(list(sent)):
            if fault:
                self.console(f"{_named(number, self.urls)} {fault}. What it was to tell stands here and in the journal.")


def split_urls(text: str) -> tuple[str, ...]:
    """The URLs of a setting, separated by spaces, or by commas where another URL begins: one inside a URL belongs to it."""
    return tuple(url.rstrip(",") for url in BETWEEN.split(text.strip(" ,\t\r\n")) if url.rstrip(","))


def _post(url: str, title: str, body: str) -> str | None:
    """Send to one URL; None when it was taken, else what went wrong. No text of apprise's is repeated: it may quote the URL."""
    try:
        # It would print to the console what it could not send, with parts of the URL.
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
        import apprise

        sender = apprise.Apprise()
        if not sender.add(url):
            return "is no address that apprise understands; correct EVERGREEN_ALERT_URLS"
        return None if sender.notify(title=title, body=body) else "did not take the message; see that it is up and lets us in"
    except Exception as error:  # whatever a channel does, the run goes on
        return f"failed with {type(error).__name__}"


def _named(number: int, urls: Sequence[str]) -> str:
    scheme = SCHEME.match(urls[number].lower())
    kind = f" ({scheme[1]})" if scheme else ""
    return f"Alert channel {number + 1} of {len(urls)}{kind}"
