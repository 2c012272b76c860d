"""The front's end of a line to another process: messages go and come without the event loop ever waiting for the other end."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import cast

LENGTH = struct.Struct("!i")
"""What stands before each message: `multiprocessing.connection`, which the other end reads and writes with, frames them so."""


class Line(asyncio.Protocol):
    """Sends and hears messages of less than 2 GiB.

    An event loop makes what it watches non-blocking, and a connection of `multiprocessing` fails then in the middle of a message that is
    larger than the system's buffer. So the loop gets the socket itself.

    Parameters
    ----------
    heard
        Called with each message.
    lost
        Called once when the other end is gone, or the line was closed.
    """

    def __init__(self, heard: Callable[[bytes], object], lost: Callable[[], object]) -> None:
        self._heard, self._lost = heard, lost
        self._arrived = bytearray()
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None

    @classmethod
    async def over(cls, connection: Connection, heard: Callable[[bytes], object], lost: Callable[[], object]) -> Line:
        """Take over one end of a `multiprocessing.Pipe`, which is closed."""
        line = cls(heard, lost)
        taken = socket.socket(fileno=os.dup(connection.fileno()))
        connection.close()
        taken.setblocking(False)
        line._socket = taken
        await asyncio.get_running_loop().create_unix_connection(lambda: line, sock=taken)
        return line

    def send(self, message: bytes) -> None:
        """Send a message; what the other end does not take yet is kept here. Nothing happens once the line is lost."""
        if self._transport is not None:
            self._transport.write(LENGTH.pack(len(message)) + message)

    def close(self) -> None:
        """Hang up at once: the other end knows it before the loop's next turn."""
        if self._transport is not None and self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """For the event loop."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """For the event loop: a part of a message, or several."""
        self._arrived += data
        while len(self._arrived) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(self._arrived)[0]
            if len(self._arrived) < end:
                return
            message = bytes(self._arrived[LENGTH.size : end])
            del self._arrived[:end]
            self._heard(message)

    def connection_lost(self, exc: Exception | None) -> None:
        """For the event loop."""
        self._transport = self._socket = None
        self._lost()
