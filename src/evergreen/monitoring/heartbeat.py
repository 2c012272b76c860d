"""The sign of life to whoever watches from outside: a loop that is dead cannot tell so itself."""

from __future__ import annotations

import logging

from evergreen.errors import RefusedError

SECONDS = 5.0
"""How long the watcher may take to answer."""
NO_ADDRESS = "EVERGREEN_HEARTBEAT_URL is no address: expected one that begins with http:// or https://"


def beat(url: str) -> str:
    """Ask for an address once, as services that watch scheduled jobs want it; says what went wrong, without the address: it is a secret.

    Returns
    -------
    str
        Empty when it was taken, and where no address is set.
    """
    if not url:
        return ""
    import httpx

    for name in ("httpx", "httpcore"):  # they would tell a log of every address that they ask
        logging.getLogger(name).setLevel(logging.WARNING)
    if not is_address(url):
        return NO_ADDRESS
    try:
        status = httpx.get(url, timeout=SECONDS, follow_redirects=True).status_code
    except Exception as error:  # whatever a watcher does, the loop goes on
        return f"whoever watches from outside did not answer ({type(error).__name__})"
    return "" if status < httpx.codes.BAD_REQUEST else f"whoever watches from outside answered {status}"


def is_address(url: str) -> bool:
    """Whether there is a host to ask in it, and a way to ask."""
    import httpx

    try:
        parts = httpx.URL(url)
        return parts.scheme in {"http", "https"} and bool(parts.host)
    except (httpx.InvalidURL, UnicodeError):  # a host that no name can be made of is noticed when it is read
        return False


def refuse_no_address(url: str) -> None:
    """See that what is to be asked is an address, before anybody relies on it; nothing is asked.

    Raises
    ------
    RefusedError
        It is none; the message does not have it.
    """
    if url and not is_address(url):
        raise RefusedError(f"{NO_ADDRESS}. Correct it, then run again.")
