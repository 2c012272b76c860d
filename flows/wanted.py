"""What the contract wants of Prefect. A process of its own reads it, `python -m flows.wanted`, so that whoever lasts stays small."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from evergreen.errors import EvergreenError
from evergreen.quoting import revealed

if TYPE_CHECKING:
    from evergreen.contract import Problem


MARK = "evergreen wants "


@dataclass(frozen=True)
class Wanted:
    """What a deployment is made of that only the contract knows."""

    problem: str
    question: str
    cron: str | None
    """When rounds begin by the clock, in UTC; None where the contract wants none."""


def wanted_by(problem: Problem) -> Wanted:
    """What a contract wants."""
    policy = problem.retraining
    return Wanted(problem.name, problem.business.question, policy.cron if "schedule" in policy.on else None)


def ask_contract() -> Wanted:
    """What the contract of the settings wants, without what importing it takes: it brings pandas, scikit-learn and the problem's code.

    Raises
    ------
    EvergreenError
        It cannot be read; the message is that of whoever tried.
    """
    ended = subprocess.run([sys.executable, "-m", "flows.wanted"], capture_output=True, text=True, check=False)
    told = [line.removeprefix(MARK) for line in ended.stdout.splitlines() if line.startswith(MARK)]
    if ended.returncode or not told:
        said = ended.stderr.strip() or f"It could not be read: exit code {ended.returncode}, and not a word."
        if "Traceback" in said:
            said = f"It could not be read: {said.splitlines()[-1]}"
        raise EvergreenError(said)
    return Wanted(**json.loads(told[-1]))


def main() -> int:
    """Print it as one line of JSON behind a mark, for contracts print too; one that is wrong is a sentence on the error stream."""
    from evergreen.settings import load_settings
    from evergreen.workspace import load_problem

    try:
        found = wanted_by(load_problem(load_settings().problem))
    except EvergreenError as error:
        sys.stderr.write(f"{revealed(str(error))}\n")
        return error.exit_code
    sys.stdout.write(f"\n{MARK}{json.dumps(asdict(found))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
