"""The command `evergreen backtest`, and what it says."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from evergreen.workspace import Workspace

app = typer.Typer()
COLUMNS = ["policy", "trainings", "put in place", "cost", "between", "saved", "between", "against never", "saved against rule"]
Policies = Annotated[str | None, typer.Option(help="Names with commas between them, such as never,monthly,every-14-days.")]
Since = Annotated[str | None, typer.Option("--from", help="The first day or month that is played again, such as 2013-06.")]
Through = Annotated[str | None, typer.Option(help="The last one.")]
Seed = Annotated[int | None, typer.Option(help="Of the recipe, instead of the contract's.", min=0, max=2**32 - 101)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the document instead of the table.")]


@app.command()
def backtest(policies: Policies = None, since: Since = None, through: Through = None, seed: Seed = None, as_json: AsJson = False) -> None:
    """Play the published data again: what retraining more often, less often or never would have cost."""
    from evergreen.backtest.periods import Stretch
    from evergreen.backtest.plans import USUAL
    from evergreen.backtest.running import run_backtest
    from evergreen.report.backtest import write_backtest
    from evergreen.workspace import open_workspace
    from flows import account

    names = [name.strip() for name in policies.split(",") if name.strip()] if policies else USUAL
    space = open_workspace()
    with account.working("backtest of the retraining policy"):
        told = run_backtest(space, policies=names, stretch=Stretch(since, through), seed=seed, progress=account.progress)
        page = write_backtest(space.settings.site, told)
        unshown = show(space)
    if unshown:
        typer.echo(f"The control room does not show it yet: {unshown}", err=True)
    if as_json:
        sys.stdout.write(json.dumps(told, indent=2, sort_keys=True, allow_nan=False) + "\n")
    else:
        tell(told)
        account.say(f"All numbers, and what is taken for granted: {page}")


def show(space: Workspace) -> str:
    """Have the control room show what the backtest has left; why it does not, where it cannot be written."""
    from evergreen.control import refresh_site
    from evergreen.errors import EvergreenError
    from evergreen.quoting import revealed
    from evergreen.status import realized_so_far

    try:
        refresh_site(space, realized_so_far(space))
    except (EvergreenError, OSError) as error:
        return revealed(str(error))
    return ""


def tell(told: dict[str, Any]) -> None:
    """Print the table and the answer."""
    from flows import account

    account.title(f"{told['unit']} per 1,000 {told['things']}, {told['period']['first']:.10} to {told['period']['end']:.10}")
    account.table(COLUMNS, [*map(_row, told["policies"]), *map(_row, told["without"])])
    account.say()
    for number, sentence in enumerate(told["answer"]):
        account.say(sentence, style=None if number else "bold")


def _row(one: dict[str, Any]) -> list[str]:
    from evergreen.report.pages import money, signed

    other, rule = one["against"].get("never"), one["against"].get("rule of thumb")
    counts = [f"{one[name]:,}" if name in one else "-" for name in ("trainings", "promotions")]
    saved = [signed(other["saved"]), f"{signed(other['low'])} to {signed(other['high'])}", other["word"]] if other else ["-", "-", "-"]
    between = f"{money(one['low'])} to {money(one['high'])}"
    return [one["name"], *counts, money(one["cost_per_1000"]), between, *saved, signed(rule["saved"]) if rule else "-"]
