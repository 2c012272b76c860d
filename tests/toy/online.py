"""The toy shop's contract with an API."""

from datetime import timedelta

from evergreen.limits import OnlinePolicy
from toy import contract, tasks

ONLINE = OnlinePolicy(max_rows=500, queue_rows=200, deadline=timedelta(seconds=2), drain=timedelta(seconds=5))
PROBLEM = contract.PROBLEM.model_copy(update={"online": ONLINE})
PROFIT = tasks.REGRESSION.model_copy(update={"online": ONLINE})
WISH = tasks.MULTICLASS_WITHOUT_TIME.model_copy(update={"online": ONLINE})
