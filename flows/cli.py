"""The `evergreen` command: it parses, calls a flow or a library function, and prints."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows import backtest, deciding, housekeeping, suites, tracing
from flows.interrupts import insisting

INTERRUPTED = 130
NO_TEXT = "surrogates not allowed"
"""Why Python refuses to encode what came from outside and was no text: a name, or a word of the command line."""
AROUND = 40
app = typer.Typer(
    name="evergreen",
    help="Keep a model fit for its purpose: data in, bad data out, models proven before they are promoted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
contract = typer.Typer(help="What the problem is.", no_args_is_help=True)
app.add_typer(contract, name="contract")
app.add_typer(backtest.app)
app.add_typer(deciding.app)
app.add_typer(housekeeping.app)
app.add_typer(deciding.gate, name="gate")
app.add_typer(tracing.app)
app.add_typer(tracing.batch, name="batch")
app.add_typer(suites.app, name="expectations")


Through = Annotated[str | None, typer.Option(help="The example's last month, such as 2013-12.")]


@app.command()
def run(through: Through = None) -> None:
    """Go round the whole loop: ingest, train, judge, promote, predict."""
    from flows.loop import run_loop

    if not run_loop(through):
        raise typer.Exit(1)


@app.command()
def serve() -> None:
    """Answer over HTTP with the champion, and follow it when it changes; until it is told to end."""
    # A process that has imported no command, for it is the parent of the workers.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "flows.serve"])


@app.command()
def feed(through: Through = None) -> None:
    """Deliver the example's files through a month, as its outside world would."""
    from evergreen.errors import RefusedError
    from evergreen.workspace import open_workspace
    from flows import account
    from flows.loop import deliver, outside_world

    space = open_workspace()
    if (world := outside_world(space)) is None:
        raise RefusedError("This problem has no feed: its deliveries come from outside. Put files into the landing folders.")
    deliver(space, world, through)
    account.say(f"They are in {space.settings.landing}. Next: evergreen ingest")


@app.command()
def ingest() -> None:
    """Judge the new files in the landing folders: publish or quarantine."""
    from evergreen.status import look_at_landing
    from evergreen.workspace import open_workspace
    from flows import account
    from flows.server import one_command

    space = open_workspace()
    found, new = look_at_landing(space)
    if not new:
        account.say("Nothing is new: every delivery that is complete has been judged.")
        if not account.tell_leftovers(found, space.problem):
            raise typer.Exit(1)
        return
    with one_command(space, "judge the deliveries"):
        from flows.alerting import tell_ingested
        from flows.ingestion import ingest as flow

        judged = flow()
    tell_ingested(space, judged)
    if any(one.outcome == "unreadable" for one in judged):
        raise typer.Exit(1)


@app.command()
def train(tune: Annotated[bool, typer.Option(help="Search for better parameters first.")] = False) -> None:
    """Train a candidate on what has been published, and let the gate judge it."""
    from evergreen.workspace import open_workspace
    from flows.server import one_command

    space = open_workspace()
    with one_command(space, "train"):
        from flows.cycle import train_and_tell

        train_and_tell(space, "asked for", tune=tune)


@app.command()
def fetch(pointer: Annotated[str | None, typer.Option(help="What is to be had; what stands in data/pointer unless said.")] = None) -> None:
    """Have the problem's own src/problem/fetch.py bring its deliveries into the landing folders, where it has one."""
    from flows.turn import fetch_deliveries

    fetch_deliveries(pointer)


@app.command()
def retrain(
    reason: Annotated[str | None, typer.Option(help="Ask for a training yourself; why is recorded.", callback=deciding.said)] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Only tell what would be done, and by which rule.")] = False,
    by: deciding.By = None,
    report: Annotated[Path | None, typer.Option(help="A folder for what a job tells of it: summary.md, outcome.json, site.")] = None,
) -> None:
    """Go one round if anything asks for it: a schedule, new data, drift, decay, a person; the contract decides."""
    from flows import turn

    if explain:
        turn.explain()
    elif not turn.take(reason=reason, person=by, report=report):
        raise typer.Exit(1)


@app.command()
def predict() -> None:
    """Publish the champion's predictions for the newest rows without outcome."""
    from evergreen.workspace import open_workspace
    from flows.server import one_command

    space = open_workspace()
    with one_command(space, "predict"):
        from flows.batch_prediction import predict_batch
        from flows.news import tell_predictions

        publication = predict_batch()
    tell_predictions(space, publication)


@app.command()
def up() -> None:
    """Start the platform: Prefect, MLflow, and whatever is due from then on."""
    from flows import platform

    platform.up()


@app.command()
def down() -> None:
    """Stop the platform."""
    from flows import platform

    platform.down()


@app.command()
def status() -> None:
    """Tell which version serves, what its predictions were worth, and how fresh the data are."""
    from flows.telling import tell_status

    tell_status()


@app.command()
def performance(as_json: Annotated[bool, typer.Option("--json", help="All of it, as JSON.")] = False) -> None:
    """Tell how predictions did, what the newest are expected to cost, and how versions grow old."""
    from flows.performance import tell_performance

    tell_performance(as_json=as_json)


@app.command()
def explain_prediction(
    prediction: Annotated[str, typer.Argument(help="Its id, as the answer over HTTP has it; with --published the key of a row.")],
    published: Annotated[str | None, typer.Option(help="The date of published predictions, such as 2013-06-01.")] = None,
) -> None:
    """Tell how a prediction came about, step by step, and whether its version still gives the same answer."""
    from flows.explained import tell_explained

    if not tell_explained(prediction, published):
        raise typer.Exit(1)


@app.command()
def smoke(seconds: Annotated[float, typer.Option(help="So long it may take until the champion answers.", min=1)] = 60) -> None:
    """Ask the API golden rows of the champion, and fail unless it answers as training did."""
    from flows.smoke import tell_smoke

    tell_smoke(seconds=seconds)


@app.command()
def triggers() -> None:
    """Tell every decision on whether to retrain, with its reason, skips too."""
    from flows.telling import tell_triggers

    tell_triggers()


@app.command()
def history() -> None:
    """Tell every decision and every move of the champion, oldest first."""
    from flows.telling import tell_history

    tell_history()


@contract.command()
def show() -> None:
    """Tell the contract in sentences."""
    from flows.telling import tell_contract

    tell_contract()


@contract.command()
def check() -> None:
    """Take a small pass through load, join, features, fit and predict, and name what is wrong."""
    from flows.telling import check_contract

    check_contract()


def main() -> None:
    """Run a command; a user's mistake is a sentence and an exit code, never a traceback."""
    # One OpenMP thread a fit, and several fits side by side: on a busy machine threads that share a fit wait for each other
    # longer than they work (measured, docs/decisions/0004). Set before anything that computes is imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without some sign shows another
    with insisting() as asked:
        try:
            code = _run()
        except (KeyboardInterrupt, typer.Abort):
            code = INTERRUPTED
        except Exception:
            if not asked.is_set():
                raise
            code = INTERRUPTED  # an interrupt that somebody took for an error
    if asked.is_set() or code == INTERRUPTED:  # typer gives it back as an exit code too
        code = _say("Stopped. Nothing is lost: the same command goes on from here.", INTERRUPTED)
    sys.exit(code)


def _run() -> int:
    from evergreen.errors import EvergreenError
    from evergreen.files import shown

    try:
        return app(standalone_mode=False) or 0
    except typer.exceptions.TyperException as error:
        show = getattr(error, "show", None)  # typer's own way to tell usage, and which option is wrong
        code = int(getattr(error, "exit_code", 2))
        return show() or code if show else _say(str(error), code)
    except EvergreenError as error:
        from flows.server import ServerLostError

        code = _say(str(error), error.exit_code)
        if isinstance(error, ServerLostError):
            _leave_at_once(code)
        return code
    except TimeoutError as error:
        return _say(f"It took too long: {error}. What was finished is kept; run again, with less else to do on this machine.", 1)
    except OSError as error:
        name = error.filename2 or error.filename  # of a copy the second is the one that is written
        where = f" ({shown(str(name))})" if name else ""
        cure = "Free some space or mend the permissions, then run again; nothing half-written is visible."
        return _say(f"{error.strerror or error}{where}. {cure}", 1)
    except UnicodeEncodeError as error:
        if error.reason != NO_TEXT:
            raise
        near = shown(error.object[max(error.start - AROUND, 0) : error.end + AROUND])
        return _say(f"Got '{near}', which is no text in UTF-8. Say it in UTF-8, or rename what is called so, then run again.", 1)


def _leave_at_once(code: int) -> None:
    """End without waiting for Prefect's threads, which would try for minutes to reach a server that has gone."""
    from evergreen import nursery

    nursery.stop()
    sys.stdout.flush()
    os._exit(code)


def _say(text: str, code: int) -> int:
    from evergreen.quoting import revealed

    sys.stderr.write(f"{revealed(text)}\n")
    sys.stderr.flush()
    return code
