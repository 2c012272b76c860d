"""Python's collector of cycles in the server: it is off, and is called now and then.

By itself it looks after every fifty requests or so, through all that wait: with a thousand of them that took a third of the time. A request
leaves no cycle behind; what else there is, as of a database that cannot be reached, does not grow fast.
"""

from __future__ import annotations

import asyncio
import gc

TIDY_SECONDS = 30.0


def leave_alone() -> None:
    """Have the collector never look again through what is there now, such as the libraries."""
    gc.collect()
    gc.freeze()


async def tidy() -> None:
    """Look for what nobody needs any more; ends when it is cancelled."""
    leave_alone()
    gc.disable()
    try:
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            gc.collect()
    finally:
        gc.enable()
