"""The HTTP side: the routes that predict as plain ASGI, with everything else left to the FastAPI application below."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import Any

from evergreen.serving import replies
from evergreen.serving.answering import INVOCATIONS, PREDICT, Answerer
from evergreen.serving.protocol import CSV
from evergreen.serving.replies import JSON, Reply

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
PATIENCE = 8
"""A body of up to so many times the limit is received before it is refused."""
CLOSE = [(b"connection", b"close")]
MOST_DIGITS = 10
PLAIN = {b"POST %b HTTP/1.1" % route.encode(): route for route in (PREDICT, INVOCATIONS)}
UNPLAIN = {b"connection", b"expect", b"transfer-encoding", b"upgrade"}
"""Headers that a parser has to look at: a connection that is not kept, a body in another form."""
HEAD_BYTES = 2_048
"""A longer head is left to the parser: what is looked at here is looked at by Python, in the event loop."""
ADMITTED = "evergreen.admitted"
KINDS = {PREDICT: (JSON.decode(),), INVOCATIONS: (JSON.decode(), CSV)}


class Front:
    """The ASGI application. `below` answers what does not predict; `key` is what whoever asks must know, empty for nothing."""

    def __init__(self, answerer: Answerer, *, below: Application, key: str = "") -> None:
        self.answerer, self.policy, self.metrics = answerer, answerer.policy, answerer.metrics
        self.is_draining = False
        """Whether each answer asks for the connection to be closed, because the server is about to end."""
        self._below, self._key = below, key.encode()
        self._late = replies.refused(408, "The body of the request did not arrive in time.", headers=CLOSE)
        self._seconds = {route: self.metrics.seconds.labels(route) for route in KINDS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] not in KINDS:
            await self._below(scope, receive, send)
            return
        if scope.pop(ADMITTED, False):
            self.answerer.batcher.coming -= 1
        started, route = perf_counter(), scope["path"]
        try:
            reply = await self._answer(scope, receive)
        except ConnectionError:
            return  # whoever asked has gone
        except Exception:  # a defect of ours: the others are answered, and people find it in the log of the process
            logging.getLogger(__name__).exception("A request to %s failed.", route)
            reply = replies.refused(500, "The server failed at this request.", headers=CLOSE)
        self.metrics.count(route, reply.status)
        self._seconds[route].observe(perf_counter() - started)
        headers = [*reply.headers, *CLOSE] if self.is_draining else reply.headers
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    def refuse_whole(self, data: bytes) -> bytes:
        """The whole refusal of a request for predictions while none can be answered, before it is parsed.

        Parameters
        ----------
        data
            What has come first on a connection where nothing is under way.

        Returns
        -------
        bytes
            Empty where none is refused, or where `data` is not one plain request, whole and nothing but it: a parser has to look then.
        """
        if self.is_draining or self._key or (reply := self.answerer.hindrance()) is None:
            return b""
        end = data.find(b"\r\n\r\n", 0, HEAD_BYTES)
        route, length = _plain(data[:end]) if end > 0 else ("", 0)
        if not route or length != len(data) - end - 4:
            return b""
        self.metrics.count(route, reply.status)
        return reply.whole

    def refuse_early(self, method: bytes, url: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
        """The same of one whose headers are parsed, before anything is begun for it; empty: none."""
        route = url.decode("latin-1")
        if self.is_draining or route not in KINDS or method != b"POST" or not self.is_allowed(headers):
            return b""
        reply = self.answerer.hindrance()
        if reply is None:
            return b""
        self.metrics.count(route, reply.status)
        return reply.whole

    def admit(self, scope: Scope) -> None:
        """Count a request that is about to be answered: many may come before the first of them is read."""
        if scope["path"] in KINDS and scope["method"] == "POST" and self.is_allowed(scope["headers"]):
            self.answerer.batcher.coming += 1
            scope[ADMITTED] = True

    def refuse_late(self, route: str) -> bytes:
        """The whole refusal of a request whose body has not come in time."""
        self.metrics.count(route if route in KINDS else "other", self._late.status)
        return self._late.whole

    def is_allowed(self, headers: list[tuple[bytes, bytes]]) -> bool:
        """Whether a request has the key, where one is wanted."""
        if not self._key:
            return True
        given = dict(headers)
        bearer = given.get(b"authorization", b"")
        said = given.get(b"x-api-key") or (bearer[7:] if bearer[:7].lower() == b"bearer " else b"")
        return hmac.compare_digest(said, self._key)

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        """The reply to a request for predictions, whatever is wrong with it."""
        kind = "application/json"
        length = 0
        for name, value in scope["headers"]:
            if name == b"content-type":
                kind = value.partition(b";")[0].strip().lower().decode("latin-1")
            elif name == b"content-length":
                length = int(value)
        if (refusal := self._refusal(scope, kind, length)) is not None:
            return refusal
        body = await self._read(receive)
        return self._too_large() if body is None else await self.answerer.answer(scope["path"], kind, body)

    def _refusal(self, scope: Scope, kind: str, length: int) -> Reply | None:
        """Why a request is refused before its body is read; None when it is not."""
        if scope["method"] != "POST":
            return replies.refused(405, f"Got {scope['method']}; expected POST.", headers=[(b"allow", b"POST"), *CLOSE])
        if not self.is_allowed(scope["headers"]):
            return no_key()
        kinds = KINDS[scope["path"]]
        if kind not in kinds:
            return replies.refused(415, f"Got {kind[:80]}; expected the content type {' or '.join(kinds)}.", headers=CLOSE)
        return self.answerer.hindrance() if length <= self.policy.max_body_bytes else None

    async def _read(self, receive: Receive) -> bytes | None:
        """The body; None when it is too large."""
        parts: list[bytes] = []
        size, more, most = 0, True, self.policy.max_body_bytes
        while more and size <= most * PATIENCE:  # to the end, where that is not far: whoever still sends does not read an answer
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError
            part, more = message.get("body", b""), message.get("more_body", False)
            size += len(part)
            if size <= most:
                parts.append(part)
        if size > most:
            return None
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _too_large(self) -> Reply:
        most = self.policy.max_body_bytes
        return replies.refused(413, f"The request is larger than {most:,} bytes. Ask for fewer rows at a time.", headers=CLOSE)


def no_key() -> Reply:
    """What whoever asks without the key is told."""
    what = "Expected the API key in the header X-API-Key, or as a bearer token."
    return replies.refused(401, what, headers=[(b"www-authenticate", b"Bearer"), *CLOSE])


def _plain(head: bytes) -> tuple[str, int]:
    """Route and length of the body, where everybody reads them in the same way; an empty route where somebody might not."""
    first, *lines = head.split(b"\r\n")
    route, length = PLAIN.get(first, ""), -1
    for line in lines:
        name, colon, value = line.partition(b":")
        name = name.lower()
        if not colon or name in UNPLAIN or not name.replace(b"-", b"").isalnum() or any(sign in value for sign in b"\r\n\0"):
            return "", 0
        if name == b"content-length":
            value = value.strip(b" ")
            if length >= 0 or not value.isdigit() or len(value) > MOST_DIGITS:
                return "", 0
            length = int(value)
    return (route, length) if length >= 0 else ("", 0)
