"""The commands about suites: draft one from what was accepted, and see what the present one would refuse of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evergreen.proposing.proposal import Proposal

app = typer.Typer(
    help="What is expected of a source: a draft from what was accepted, and what the suite would refuse of it.", no_args_is_help=True
)
Source = Annotated[str, typer.Argument(help="One of the contract's sources.")]
HEADINGS = {
    "new": "New",
    "tighter": "Tighter than yours",
    "looser": "Looser than yours",
    "otherwise": "Otherwise than yours",
    "same": "The same as yours",
    "only yours": "Only in yours",
}


@app.command()
def propose(
    source: Source,
    write: Annotated[bool, typer.Option("--write", help="Write the draft below the home; your suite stays as it is.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Only the draft, as a suite in JSON.")] = False,
) -> None:
    """Draft a suite from all accepted batches of a source, for a person to review, and tell how it differs from the present one."""
    from evergreen.proposing import proposal
    from evergreen.workspace import open_workspace
    from flows import account

    space = open_workspace()
    with account.working(f"look at the accepted batches of {source}"):
        made = proposal.propose(space, source)
    if not as_json:
        _tell(made)
    if write:
        path = proposal.write(space, made)
        account.title(f"The draft is in {path}")
        account.say("Review it; every note says what was seen. To use it:")
        account.say(f"  cp {path} {space.settings.expectations / path.name}")
    else:
        sys.stdout.write(made.text if as_json else f"\n{made.text}")


@app.command()
def check(source: Source) -> None:
    """Tell which accepted batches each expectation of the present suite would refuse, or warn of."""
    from evergreen.proposing.proposal import check_present
    from evergreen.workspace import open_workspace
    from flows import account

    space = open_workspace()
    with account.working(f"hold the accepted batches of {source} against its suite"):
        count, found = check_present(space, source)
    broken = [one for one in found if one.broken_by]
    rows = [[one.check.sentence, one.check.severity, f"{len(one.broken_by)}", ", ".join(one.broken_by[-3:])] for one in broken]
    if rows:
        account.table(["expected", "severity", f"broken by, of {count}", "the newest of these"], rows)
    account.say(f"{len(found) - len(broken)} of {len(found)} expectations are met by all {count} accepted batches of {source}.")


def _tell(made: Proposal) -> None:
    """The basis, the differences by their kind, and what was left out."""
    from evergreen.report.words import counted
    from flows import account

    made_from = f"{counted(made.batches, 'accepted batch')}, {counted(made.rows, 'row')}"
    account.say(f"{counted(len(made.expectations), 'expectation')} from {made_from}; none of these breaks any.", style="bold")
    if made.is_weak:
        account.say(
            "That is a weak basis: what is usual shows from three deliveries on. Propose again when there are more.", style="yellow"
        )
    for state, heading in HEADINGS.items():
        some = [one for one in made.differences if one.state == state]
        if some:
            account.title(f"{heading} ({len(some)})")
        for one in some:
            account.say(f"  {one.proposed or one.present}")
            if one.proposed and one.present and state != "same":
                account.say(f"    yours: {one.present}")
    if made.left_out:
        account.title("Left out, for an accepted delivery breaks it")
    for words in made.left_out:
        account.say(f"  {words}")
