"""The HTTP side: the routes that predict as plain ASGI, with everything else left to the FastAPI application below."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
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
_HEADER = rb"(?:[!#-'*+.0-9A-Z^-z|~-]++:[^\r\n\0]*+\r\n)"
PLAIN = re.compile(
    rb"POST (?P<route>/predict|/invocations) HTTP/1\.1\r\n%b*?[Cc]ontent-[Ll]ength: *+(?P<length>[0-9]{1,10})\r\n%b*+\r\n"
    % (_HEADER, _HEADER)
)
"""The head of a request that anybody reads in the same way."""
UNPLAIN = re.compile(rb"\n(?:connection|expect|transfer-encoding|upgrade|content-length[^\r]*\r(?s:.)*\ncontent-length) *:", re.IGNORECASE)
"""What makes one that has to be looked at: a connection that is not kept, a body in another form, two lengths."""
KINDS = {PREDICT: (JSON.decode(),), INVOCATIONS: (JSON.decode(), CSV)}


class Front:
    """The ASGI application. `below` answers what does not predict; `key` is what whoever asks must know, empty for nothing."""

    def __init__(self, answerer: Answerer, *, below: Application, key: str = "") -> None:
        self.answerer, self.policy, self.metrics = answerer, answerer.policy, answerer.metrics
        self.is_draining = False
        """Whether each answer asks for the connection to be closed, because the server is about to end."""
        self._below, self._key = below, key.encode()
        self._seconds = {route: self.metrics.seconds.labels(route) for route in KINDS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] not in KINDS:
            await self._below(scope, receive, send)
            return
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
        found = PLAIN.match(data)
        if found is None or len(data) - found.end() != int(found["length"]) or UNPLAIN.search(data, 0, found.end()):
            return b""
        self.metrics.count(found["route"].decode(), reply.status)
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
        try:
            async with asyncio.timeout(self.policy.deadline.total_seconds()):
                body = await self._read(receive)
        except TimeoutError:
            return replies.refused(408, "The body of the request did not arrive in time.", headers=CLOSE)
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
