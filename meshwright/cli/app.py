"""The command `meshwright`: its parts put together, and every expected error as one line with a way out."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence

import typer

from meshwright.cli import (
    ask,
    audit,
    budget,
    db,
    demo,
    doctor,
    keys,
    looks,
    new,
    policy,
    reviews,
    shop,
    tail,
    trace,
    up,
    why,
)
from meshwright.cli.console import FAILED, USAGE, Json, Trouble, emit, err
from meshwright.errors import MeshError

app = typer.Typer(
    name="meshwright",
    help="A team of agents in production: start it, ask it, see why it did what it did.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
about = typer.Typer()
#: What a disk says that takes no more.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


@about.command()
def version(json_: Json = False) -> None:
    """Which version this is."""
    from importlib.metadata import version as installed

    if json_:
        emit({"version": installed("meshwright"), "python": sys.version.split()[0]})
    else:
        sys.stdout.write(f"meshwright {installed('meshwright')} on Python {sys.version.split()[0]}\n")


for part in (
    up.app,
    ask.app,
    looks.app,
    trace.app,
    why.app,
    tail.app,
    demo.app,
    doctor.app,
    keys.app,
    budget.app,
):
    app.add_typer(part)
app.add_typer(reviews.app, name="reviews")
app.add_typer(shop.app, name="shop")
app.add_typer(new.app, name="new")
app.add_typer(db.app, name="db")
app.add_typer(policy.app, name="policy")
app.add_typer(audit.app, name="audit")
app.add_typer(about)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. A traceback is a bug; what can be expected is one line."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="meshwright")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    except (Trouble, MeshError) as error:
        err().print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return error.code if isinstance(error, Trouble) else FAILED
    except UnicodeEncodeError:  # bytes of the command line or of standard input that stand for no character
        err().print("error: what was given is not UTF-8: convert it first, as with iconv", style="red")
        return USAGE
    return 0


def main() -> None:
    """The command, with the arguments of this process."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # not every terminal has every character
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = run()
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in (errno.EPIPE, *_FULL):
            raise
        # what could not be written is tried once more at the end of the process, and would be a traceback there
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
        if error.errno in _FULL:
            where = error.filename or "the answer"
            err().print(f"error: cannot write {where}: {error.strerror}", style="red", markup=False)
    sys.exit(code)
