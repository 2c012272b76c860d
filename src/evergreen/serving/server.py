"""The server as a process: it listens, and when it is told to end it answers what it has accepted and exits with 0."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from evergreen.errors import EvergreenError
from evergreen.serving.front import Front
from evergreen.serving.service import Service

HEADER_SECONDS = 10.0
"""A connection on which no request has begun by then is closed: it may be held by somebody who only wants to hold it."""
KEEP_ALIVE_SECONDS = 30
SHORTEST_SECONDS = 0.5
"""Between two looks at a connection."""
LINGER_SECONDS = 0.5
"""Between the word to end and the end of listening: whoever asks meanwhile is answered, and told to close the connection."""
BACKLOG = 2_048


class _Refused:
    """Stands for a request that has its answer already: uvicorn leaves its body unread."""

    response_complete = True
    disconnected = False
    message_event = asyncio.Event()


class _Together:
    """The transport of one answer, whose head is sent with the first part of its body, as ASGI wants it.

    uvicorn sends the head by itself: with an answer as short as ours that took the system, and whoever asked, twice the time.
    """

    __slots__ = ("_has_head", "_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._head, self._has_head = transport, b"", False

    def write(self, data: bytes) -> None:
        if not self._has_head and not data.startswith(b"HTTP/1.1 100 "):
            self._head, self._has_head = data, True
            return
        if self._head:
            data, self._head = self._head + data, b""
        self._transport.write(data)

    def close(self) -> None:
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


class Impatient(HttpToolsProtocol):
    """Closes a connection whose headers do not arrive, and refuses at once what cannot be answered now.

    Under overload a refusal must cost next to nothing: what it takes is missing for answers.
    """

    front: Front
    _refusal = b""
    _waits = HEADER_SECONDS
    """How long it waits from `_since` on for the headers of a request, or for the rest of its body; 0: it has both."""
    _since = 0.0
    _has_begun = False
    """Whether a part of a request has been read."""
    _is_last = False
    """Whether the server ends once this request has been refused."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait."""
        super().connection_made(transport)
        self._since = self.loop.time()
        # It is set again only when it has come to its end: a new one for each request would cost as much as reading the request.
        self._deadline = self.front.policy.deadline.total_seconds()
        self._pause = max(SHORTEST_SECONDS, min(HEADER_SECONDS, self._deadline))
        self._patience = self.loop.call_later(self._pause, self._look)

    def data_received(self, data: bytes) -> None:
        """Refuse a whole request without parsing it, where that can be done."""
        if not self._has_begun and self._is_alone and (refusal := self.front.refuse_whole(data)):
            self._unset_keepalive_if_required()  # uvicorn's own, set after the answer before this one
            self._since, self._waits = self.loop.time(), HEADER_SECONDS + KEEP_ALIVE_SECONDS
            self._refuse(refusal, is_kept=True)
            return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """The first bytes of a request have come."""
        self._has_begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """They are there."""
        is_alone = self._is_alone
        if is_alone and (refusal := self.front.refuse_early(self.parser.get_method(), self.url, self.headers)):
            self._refusal, self.cycle = refusal, cast("Any", _Refused())
            self._since, self._waits = self.loop.time(), self._deadline
            if self.expect_100_continue:  # whoever asks waits for a word before it sends the body
                self._refuse(refusal, is_kept=False)
            return
        super().on_headers_complete()
        if is_alone:
            self.front.admit(cast("dict[str, Any]", self.scope))
        self._watch()
        if self.scope["method"] != "HEAD":  # the answer to that has no body
            self.cycle.transport = cast("Any", _Together(self.transport))

    def on_response_complete(self) -> None:
        """Wait for the next request: uvicorn's own limit ends with the first byte of it."""
        super().on_response_complete()
        self._watch()

    def on_message_complete(self) -> None:
        """Send the refusal when whoever asked has sent everything, and reads."""
        self._has_begun = False
        if not self._refusal:
            super().on_message_complete()
            self._watch()
            return
        refusal, self._refusal = self._refusal, b""
        # After a request to speak something else the parser takes the rest for that, and others for further requests.
        is_kept = self.parser.should_keep_alive() and not self.parser.should_upgrade() and not self._is_last
        self._refuse(refusal, is_kept=is_kept)
        if is_kept:
            self.on_response_complete()

    def shutdown(self) -> None:
        """The server ends: a request that is refused, and still sent, has its refusal first."""
        if self._refusal:
            self._is_last = True
        else:
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting, and let go of requests whose turn never comes: each holds the connection that holds it."""
        self._patience.cancel()
        super().connection_lost(exc)
        for cycle, _ in self.pipeline:
            cycle.on_response = _nothing
        self.pipeline.clear()

    def _refuse(self, refusal: bytes, *, is_kept: bool) -> None:
        if self.transport.is_closing():
            return
        if self.flow.write_paused:  # asks and asks and does not read: what it is sent would be kept here
            self.transport.abort()
            return
        self.transport.write(refusal)
        if not is_kept:
            self.transport.close()

    @property
    def _is_alone(self) -> bool:
        """Whether no request before this one waits for its answer."""
        return not self.pipeline and (self.cycle is None or self.cycle.response_complete)

    def _watch(self) -> None:
        """What is waited for from now on."""
        self._since = self.loop.time()
        if self.cycle is None or self.cycle.response_complete:
            self._waits = HEADER_SECONDS + KEEP_ALIVE_SECONDS
        else:  # of those behind the one that is answered nothing is read
            self._waits = self._deadline if self.cycle.more_body and not self.pipeline else 0.0

    def _look(self) -> None:
        """Whether it has been waited for long enough."""
        if self.transport.is_closing():
            return
        if not self._waits or self._since + self._waits > self.loop.time():
            self._patience = self.loop.call_later(self._pause, self._look)
            return
        if self._refusal:
            self._refuse(self._refusal, is_kept=False)
            return
        if self.cycle is not None and not self.cycle.response_complete and not self.cycle.response_started:
            self.transport.write(self.front.refuse_late(self.cycle.scope["path"]))
            self.cycle.disconnected = True  # whoever reads the body is told so
            self.cycle.message_event.set()
        self.transport.close()


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals to us: it would end the process by the signal it was sent, not with 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def run(service: Service) -> bool:
    """Serve until SIGTERM or SIGINT; False when a part of the server failed.

    Raises
    ------
    EvergreenError
        A port is taken.
    """
    metrics = _metrics_server(service)
    line = _listen(service.settings.api_host, service.settings.api_port)
    server, loop = _Server(_config(service)), asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, _told_to_end, service, server)
    service.tell(f"Listening at {service.settings.api}. What can be asked: {service.settings.api}/docs")
    if service.settings.is_open:
        service.tell(f"There is no key, so whoever reaches {service.settings.api_host} is answered. Set EVERGREEN_API_KEY.")
    service.begin()
    watch = asyncio.create_task(_end_on_failure(service, server))
    try:
        await server.serve(sockets=[line])
    finally:
        watch.cancel()
        if metrics:
            metrics.shutdown()
        await service.end()
    return not service.failed.is_set()


def _nothing() -> None:
    pass


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=BACKLOG)
    except OSError as error:
        raise EvergreenError(
            f"The port {port} of {host} cannot be used ({_said(error)}). Does another program have it? Set EVERGREEN_API_PORT."
        ) from None


def _said(error: OSError) -> str:
    """The system's own words, without the address that some add to them; a name that nobody knows has a number of its own, below 0."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


def _config(service: Service) -> uvicorn.Config:
    return uvicorn.Config(
        service.front,
        loop="uvloop",
        http=_protocol(service.front),
        proxy_headers=False,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level=logging.CRITICAL,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(service.policy.drain.total_seconds()),
    )


def _protocol(front: Front) -> type[Impatient]:
    class Ours(Impatient):
        pass

    Ours.front = front
    return Ours


def _told_to_end(service: Service, server: uvicorn.Server) -> None:
    """Not ready from now on; what was accepted is answered."""
    service.front.is_draining = True
    asyncio.get_running_loop().call_later(LINGER_SECONDS, setattr, server, "should_exit", True)


async def _end_on_failure(service: Service, server: uvicorn.Server) -> None:
    await service.failed.wait()
    server.should_exit = True


def _metrics_server(service: Service) -> Any:
    """The counters on a port of their own, where one is set."""
    if not service.settings.metrics_port:
        return None
    from prometheus_client import start_http_server

    port = service.settings.metrics_port
    try:
        server, _ = start_http_server(port, "127.0.0.1", registry=service.metrics.whole)
    except OSError as error:
        raise EvergreenError(f"The port {port} cannot be used ({_said(error)}). Set EVERGREEN_METRICS_PORT to another.") from None
    return server
