"""`meshwright ask`: one request to the mesh, its progress as it happens, the answer and how it came about.

The exit code says what became of it: 0 done, 1 failed, 3 a person has to decide or has it, 4 answered with
gaps.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Annotated

import typer

from meshwright.cli import keys, reports
from meshwright.cli.answer import Answer
from meshwright.cli.console import (
    DEGRADED,
    DONE,
    FAILED,
    USAGE,
    WAITS_FOR_PERSON,
    Json,
    Trouble,
    emit,
    err,
    out,
    plain,
)
from meshwright.cli.entrance import UrlOption, entrance
from meshwright.cli.home import DEFAULT, HomeOption

CODES = {
    "done": DONE,
    "failed": FAILED,
    "waiting": WAITS_FOR_PERSON,
    "escalated": WAITS_FOR_PERSON,
    "degraded": DEGRADED,
}
_BY_STATE = {"COMPLETED": "done", "INPUT_REQUIRED": "waiting", "AUTH_REQUIRED": "waiting"}

app = typer.Typer()


@app.command(epilog="Exit code: 0 done, 1 failed, 3 a person has to decide or has it, 4 answered with gaps.")
def ask(
    text: Annotated[
        str, typer.Argument(help="The request, as its writer would put it; - reads standard input.")
    ],
    url: UrlOption = "",
    home: HomeOption = DEFAULT,
    deadline: Annotated[float, typer.Option(min=0.1, max=3600, help="Seconds the mesh has for it.")] = 30.0,
    json_: Json = False,
) -> None:
    """Send a request to the mesh; show what it does, what it answers, and why."""
    request = (sys.stdin.read() if text == "-" else text).strip()
    if not request:
        raise Trouble(
            'the request is empty: say what you want, as in `meshwright ask "Where is my order?"`', USAGE
        )
    try:
        with progress(quiet=json_) as said:
            answer = asyncio.run(_ask(request, url, home, deadline, said))
    except KeyboardInterrupt:
        err().print(
            "nobody waits for it here any more, but the mesh may go on with it: see `meshwright runs`"
        )
        raise
    outcome = outcome_of(answer)
    if json_:
        emit(
            answer.report or {"outcome": outcome, "reply": answer.text or answer.notice, "task": answer.task}
        )
    else:
        show(answer, outcome)
    raise typer.Exit(CODES.get(outcome, FAILED))


async def _ask(
    request: str, url: str, home: HomeOption, seconds: float, said: Callable[[str], None]
) -> Answer:
    async with entrance(home, url, keys.CUSTOMER) as mesh:
        return await mesh.ask(request, seconds, said)


def outcome_of(answer: Answer) -> str:
    """The outcome that the mesh reported.

    For an agent that sends no report, the one its A2A state stands for.
    """
    return str(answer.report.get("outcome") or _BY_STATE.get(answer.state, "failed"))


def show(answer: Answer, outcome: str) -> None:
    """The answer, then how it came about."""
    console = out()
    said = answer.report.get("reply") or answer.text or answer.notice
    console.print(reports.reply(str(said), outcome))
    if answer.report:
        console.print(reports.explanation(answer.report))
    if outcome == "waiting":
        err().print("a person decides: meshwright reviews", style="yellow")


@contextlib.contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A line that changes on a terminal, lines in a log; nothing when quiet."""
    if quiet:
        yield lambda line: None
        return
    console = err()
    if not console.is_terminal:
        yield lambda line: console.print(plain(line), style="dim", markup=False, soft_wrap=True)
        return
    from rich.text import Text

    with console.status("[dim]the mesh works on it[/]"):
        yield lambda line: console.print(Text(f"  {plain(line)}", "dim"))
