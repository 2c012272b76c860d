import time
import warnings

import pytest
from joblib import delayed

from evergreen.threads import side_by_side


def test_results_come_in_the_order_of_the_work():
    def late(number: int) -> int:
        time.sleep(0.02 * (4 - number))
        return number

    assert list(side_by_side([delayed(late)(number) for number in range(4)])) == [0, 1, 2, 3]


def test_what_fails_in_a_thread_fails_here():
    with pytest.raises(ZeroDivisionError):
        list(side_by_side([delayed(divmod)(1, 0)]))


def test_no_thread_finds_the_filters_of_warnings_emptied_by_another():
    before, reset = list(warnings.filters), warnings.resetwarnings

    def emptied() -> int:
        with warnings.catch_warnings():
            warnings.resetwarnings()
            return len(warnings.filters)

    assert all(list(side_by_side([delayed(emptied)() for _ in range(4)])))
    assert list(warnings.filters) == before
    assert warnings.resetwarnings is reset
