from dataclasses import replace
from datetime import timedelta

import pytest
from workspaces import with_source

from evergreen.workspace import Workspace
from flows.news import tell_stale


@pytest.mark.parametrize(("days", "told"), [(0, True), (2, False)])
def test_a_round_says_which_source_is_older_than_the_contract_allows(
    space: Workspace, capsys: pytest.CaptureFixture[str], days: int, told: bool
):
    # The toy shop's stock is counted at six in the morning, before the last orders of the day.
    tell_stale(replace(space, problem=with_source("stock", max_age=timedelta(days=days))))
    said = capsys.readouterr().out
    assert ("stale: stock: its newest row, 2026-01-10 06:00:00+00:00, lies 0 days behind" in said) is told
    assert (said == "") is not told
