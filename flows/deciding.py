"""The commands by which a person decides: release, override, roll back, bar, freeze; and those that ask the gate again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

app = typer.Typer()
gate = typer.Typer(help="What decides whether a candidate may serve.", no_args_is_help=True)


def said(reason: str | None) -> str | None:
    """A reason that says something; None where none was given and none is needed."""
    if reason is not None and not reason.strip():
        raise typer.BadParameter("it is empty; say why, in a few words, for it is recorded.")
    return reason and reason.strip()


def _end(expires: str) -> datetime:
    from evergreen.overrides import read_end

    try:
        return read_end(expires, now=datetime.now(UTC))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--expires") from None


Number = Annotated[int, typer.Argument(min=1, max=2**31 - 1)]  # stores count in 32 bits
Held = Annotated[int | None, typer.Argument(help="Which held version; the newest unless you say one.", min=1, max=2**31 - 1)]
Shadowed = Annotated[int | None, typer.Argument(help="Which version; how the present one does unless you say one.", min=1, max=2**31 - 1)]
Stop = Annotated[bool, typer.Option("--stop", help="Ask it no more.")]
Reason = Annotated[str, typer.Option(help="Why; it is recorded.", callback=said)]
By = Annotated[str | None, typer.Option(help="Who; your login name unless you say otherwise.")]
Override = Annotated[bool, typer.Option("--override", help="Overrule the gate's refusal; needs --expires.")]
Expires = Annotated[str | None, typer.Option(help="The override's last day, in UTC: 2026-12-31, or 14d for 14 days from today.")]


@app.command()
def promote(version: Number, reason: Reason, by: By = None, override: Override = False, expires: Expires = None) -> None:
    """Release a version that the gate holds; with --override one that it refuses, for a time."""
    from flows import telling

    if override and expires is None:
        raise typer.BadParameter("an override needs an end, such as 2026-12-31 or 14d.", param_hint="--expires")
    if expires is not None and not override:
        raise typer.BadParameter("only an override ends; leave it out, or say --override.", param_hint="--expires")
    if expires is None:
        telling.release(version, reason=reason, person=by)
    else:
        telling.override(version, reason=reason, person=by, expires=_end(expires))


@app.command()
def shadow(version: Shadowed = None, stop: Stop = False, by: By = None) -> None:
    """Ask a version about all that is served over HTTP, without anybody being answered by it; alone: how it does."""
    from flows import shadow as command
    from flows.telling import name_of

    if stop and version is not None:
        raise typer.BadParameter("say a version or --stop, not both.", param_hint="--stop")
    if stop:
        command.end(person=name_of(by))
    elif version is not None:
        command.begin(version, person=name_of(by))
    else:
        command.tell()


@app.command()
def rollback(reason: Reason, by: By = None) -> None:
    """Go back to the previous champion, and bar the one left behind."""
    from flows.telling import go_back

    go_back(reason=reason, person=by)


@app.command()
def unbar(version: Number, reason: Reason, by: By = None) -> None:
    """Let a version that was rolled back from be promoted again."""
    from flows.telling import free

    free(version, reason=reason, person=by)


@app.command()
def freeze(reason: Reason, by: By = None) -> None:
    """Stop all promotions, by the gate and by persons; rolling back stays possible."""
    from flows.telling import stop

    stop(reason=reason, person=by)


@app.command()
def unfreeze(reason: Reason, by: By = None) -> None:
    """Let versions be promoted again."""
    from flows.telling import resume

    resume(reason=reason, person=by)


@app.command()
def reconcile() -> None:
    """Finish a move of the champion that was cut short, and put MLflow's aliases where the journal says they are."""
    from flows.telling import settle

    settle()


@gate.command()
def resume(version: Held = None) -> None:
    """Judge a held version again, on the outcomes that have matured since; nothing is paid for twice."""
    from evergreen.resuming import held_version
    from evergreen.workspace import open_workspace
    from flows.server import one_command

    space = open_workspace()
    chosen = held_version(space, version).number
    with one_command(space, "judge again"):
        from flows.cycle import judge_again_and_tell

        judge_again_and_tell(space, chosen)


@gate.command()
def selftest(only: Annotated[list[str] | None, typer.Option(help="One defect by its name, such as leak; may be repeated.")] = None) -> None:
    """Plant defects into your own data and estimator, and see that the gate refuses each of them."""
    from flows.selftest import tell_selftest

    if not tell_selftest(only or []):
        raise typer.Exit(1)
