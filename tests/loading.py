"""Load on a server: clients that ask without a pause and write down every answer, and the versions that must have given it."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

from serving import JSON


@dataclass
class Answered:
    """One request and what became of it."""

    begun: float
    ended: float
    status: int
    """0: the connection broke."""
    row: int
    version: int = 0
    probability: float = 0.0


@dataclass
class Load:
    """So many clients, each with a connection of its own, that ask rows one by one until the block is left."""

    port: int
    rows: list[dict[str, Any]]
    clients: int = 4
    answers: list[Answered] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(self.clients)]
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for one in self._threads:
            one.join(60)

    def statuses(self) -> Counter[int]:
        """How often each status was answered."""
        return Counter(one.status for one in self.answers)

    def _ask(self, number: int) -> None:
        bodies = [json.dumps(row) for row in self.rows]
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        at = number
        while not self._over.is_set():
            at = (at + 1) % len(bodies)
            begun = time.monotonic()
            try:
                line.request("POST", "/predict", bodies[at], JSON)
                reply = line.getresponse()
                told = json.loads(reply.read())
            except ConnectionRefusedError:
                break
            except (OSError, http.client.HTTPException):
                self.answers.append(Answered(begun, time.monotonic(), 0, at))
                line.close()
                continue
            one = Answered(begun, time.monotonic(), reply.status, at)
            if reply.status == 200:
                one.version, one.probability = told["model_version"], told["probability"]
            self.answers.append(one)
        line.close()


@dataclass
class Reign:
    """A version that served: from when it was certain to, until when."""

    version: int
    since: float
    until: float = float("inf")


def out_of_turn(answers: list[Answered], reigns: list[Reign]) -> list[Answered]:
    """Answers by another version than the one that served during the whole of the request."""
    wrong, at = [], 0
    for one in sorted(answers, key=lambda one: one.begun):
        while at + 1 < len(reigns) and reigns[at + 1].since <= one.begun:
            at += 1
        if one.status == 200 and one.ended <= reigns[at].until and one.version != reigns[at].version:
            wrong.append(one)
    return wrong


def mixed(answers: list[Answered], expected: dict[int, list[float]]) -> list[Answered]:
    """Answers that the version which they name does not give for that row."""
    return [one for one in answers if one.status == 200 and abs(one.probability - expected[one.version][one.row]) > 1e-9]
