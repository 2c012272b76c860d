"""The process that writes predictions into the journal, so that no database is ever waited for by whoever answers."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

import msgpack
import orjson

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from evergreen.journal import Journal

RETRY_SECONDS = 1.0


def record(connection: Connection, url: str) -> None:
    """Write every message that arrives, a list of entries, into the journal at `url`.

    Once it is there for good, the answer is (True, rows that the journal refused for what they are, why it refused the last of them).
    While the journal cannot be used, each try is answered with (False, 0, why). Ends when the other end of the line is closed.
    """
    from evergreen.errors import EvergreenError, JournalError
    from evergreen.journal import Journal

    journal: Journal | None = None
    was_lost = False
    while True:
        try:
            entries = msgpack.unpackb(connection.recv_bytes())
        except (EOFError, OSError):
            return
        is_written = False
        while not is_written:
            try:
                journal = journal or Journal(url)
                refused = write(journal, entries)
                is_lost = len(refused) == sum(len(entry[0]) for entry in entries)
                if is_lost and was_lost:  # nor was the message before taken: it is hardly these rows that are wrong
                    raise JournalError(refused[-1])
                was_lost = is_lost
                is_written, reply = True, (True, len(refused), refused[-1] if refused else "")
            except EvergreenError as error:
                reply = (False, 0, str(error))
            try:
                connection.send_bytes(msgpack.packb(reply))
            except OSError:
                return
            if not is_written:
                time.sleep(RETRY_SECONDS)


def write(journal: Journal, entries: list[Any]) -> list[str]:
    """Append a row for each prediction; those that are there already stay as they are.

    Parameters
    ----------
    entries
        Of each request: ids, entities, time asked (ISO, UTC), version, columns, answers.

    Returns
    -------
    list[str]
        For each row that the journal refuses for what it is, which one and why.

    Raises
    ------
    UnfitRowError
        It refuses all of several.
    """
    from evergreen.journal import served
    from evergreen.journal.each import add_each

    refused = add_each(journal, served, [row for entry in entries for row in _rows(entry)])
    return [f"prediction {row['prediction']} could not be logged: {why}" for row, why in refused]


def _rows(entry: Any) -> list[dict[str, Any]]:
    ids, entities, asked_at, version, columns, answers = entry
    rows = []
    for at, prediction in enumerate(ids):
        inputs = orjson.dumps({name: values[at] for name, values in columns.items()})
        answer = orjson.dumps({name: values[at] for name, values in answers.items()})
        rows.append(
            {
                "prediction": prediction,
                "entity": None if entities[at] is None else str(entities[at]),
                "asked_at": asked_at,
                "version": version,
                "features": hashlib.sha256(inputs).hexdigest(),
                "inputs": inputs.decode(),
                "answer": answer.decode(),
            }
        )
    return rows
