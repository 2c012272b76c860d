import asyncio
import errno
from typing import Any

import pytest
from prefect.states import Failed

from evergreen.errors import DataError, JournalError, RegistryError, UnreachableError
from flows.steps import may_pass


@pytest.mark.parametrize(
    ("error", "worth_it"),
    [
        (UnreachableError("MLflow at http://full.example does not answer"), True),
        (OSError(errno.ESTALE, "stale handle"), True),
        (RegistryError("MLflow's database is of another schema"), False),
        (JournalError("locked"), False),
        (DataError("a guard is broken"), False),
        (OSError(errno.ENOSPC, "no space"), False),
        (FileNotFoundError(errno.ENOENT, "no such file"), False),
        (TimeoutError("too long"), False),
    ],
)
def test_only_what_may_pass_by_itself_is_tried_again(error: Exception, worth_it: bool):
    nothing: Any = None
    assert asyncio.run(may_pass(nothing, nothing, Failed(data=error))) is worth_it
