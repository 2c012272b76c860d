"""Numbers of things in words."""

import pytest

from evergreen.report.words import counted


@pytest.mark.parametrize(
    ("number", "thing", "said"),
    [
        (0, "row", "0 rows"),
        (1, "day", "1 day"),
        (1200, "day", "1,200 days"),
        (1, "accepted delivery", "1 accepted delivery"),
        (2, "accepted delivery", "2 accepted deliveries"),
        (1, "batch", "1 batch"),
        (3, "batch", "3 batches"),
    ],
)
def test_a_number_of_things_has_the_ending_that_it_needs(number: int, thing: str, said: str):
    assert counted(number, thing) == said
