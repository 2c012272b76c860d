"""The commands that follow data: where something comes from and what it fed, taking a batch back, accepting a delivery."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.deciding import By, Reason

app = typer.Typer()
batch = typer.Typer(help="What was published, taking it back, and accepting what was refused.", no_args_is_help=True)
Delivery = Annotated[str, typer.Argument(help="In quarantine: source/name, or the first signs of its sha256.")]
Digest = Annotated[str, typer.Argument(help="Of a published batch; its first signs do.")]
Source = Annotated[str | None, typer.Argument(help="Of one source only.")]


@app.command()
def lineage(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="A batch, a delivery (source/name), a snapshot, a version (3), a decision, a prediction over HTTP, published predictions "
            "(2013-06-01, or their digest). The first signs of a digest do.",
        ),
    ],
    whole: Annotated[bool, typer.Option("--all", help="Cut no list.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Tell what something was made from, and what it fed."""
    from flows.lineage import print_lineage, tell_lineage

    if as_json:
        print_lineage(name)
    else:
        tell_lineage(name, whole=whole)


@batch.command()
def revoke(digest: Digest, reason: Reason, by: By = None) -> None:
    """Take a published batch back: from then on it does not count, and nothing learns from it."""
    from flows.batches import take_back

    take_back(digest, reason=reason, person=by)


@batch.command()
def restore(digest: Digest, reason: Reason, by: By = None) -> None:
    """Give a batch back that was taken back."""
    from flows.batches import give_back

    give_back(digest, reason=reason, person=by)


@batch.command()
def accept(delivery: Delivery, reason: Reason, by: By = None) -> None:
    """Accept a refused delivery that meets its expectations, but is not like those before it."""
    from flows.batches import accept_delivery

    accept_delivery(delivery, reason=reason, person=by)


@batch.command("list")
def show(source: Source = None) -> None:
    """Tell every published batch, oldest first, and whether it counts."""
    from flows.batches import tell_batches

    tell_batches(source)
