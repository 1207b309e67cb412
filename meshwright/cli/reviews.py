"""`meshwright reviews`: what waits for a person, all that there is to know about it, and the decision.

What is approved is what was shown: its hash is worked out here, from what stands on the screen, and goes with the decision.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from meshwright.cli import keys
from meshwright.cli.console import USAGE, Json, Trouble, emit, out, plain
from meshwright.cli.entrance import Entrance, UrlOption, entrance, segment
from meshwright.cli.home import DEFAULT, HomeOption
from meshwright.cli.sheet import call, fields, listed, sheet

app = typer.Typer(
    invoke_without_command=True, help="What waits for a person: list, show, approve, edit, reject."
)

Id = Annotated[str, typer.Argument(metavar="ID", help="A review; the first letters of its id are enough.")]
Reason = Annotated[
    str, typer.Option(help="Goes into the record. That of a rejection is in the reply to the customer, too.")
]
As = Annotated[str, typer.Option("--as", help="Who decides: a person whose key is in --home.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; needs --hash.")]
Hash = Annotated[str, typer.Option("--hash", help="The hash of what you saw, as `show` prints it.")]

_WORDS = {"approve": "approved", "edit": "edited", "reject": "rejected"}
#: Letters of a whole id.
WHOLE = 36


@app.callback()
def waiting(
    context: typer.Context,
    state: Annotated[
        str, typer.Option(help="open, decided, approve, edit, reject, expired, withdrawn or all.")
    ] = "open",
    risk: Annotated[str, typer.Option(help="low, medium or high.")] = "",
    run: Annotated[str, typer.Option(help="Those of one run.")] = "",
    who: As = keys.OPERATOR,
    url: UrlOption = "",
    home: HomeOption = DEFAULT,
    json_: Json = False,
) -> None:
    """What waits for a person, the most pressing first."""
    if context.invoked_subcommand is not None:
        return
    query = {name: value for name, value in (("state", state), ("risk", risk), ("run", run)) if value}

    async def look(mesh: Entrance) -> dict[str, Any]:
        return await mesh.look("/reviews", **query)

    page = _ask(look, home, url, who)
    if json_:
        emit(page)
        return
    rows = page.get("reviews", [])
    if not rows:
        out().print("nothing waits for a person" if state == "open" else "there is no such review")
        return
    out().print(listed(rows))
    out().print("meshwright reviews show ID · approve ID · edit ID · reject ID --reason WHY", style="dim")


@app.command()
def show(
    review: Id, who: As = keys.OPERATOR, url: UrlOption = "", home: HomeOption = DEFAULT, json_: Json = False
) -> None:
    """Exactly what would run, why it stopped, both sides, and the evidence."""
    page = _ask(lambda mesh: _one(mesh, review), home, url, who)
    if json_:
        emit(page)
    else:
        out().print(sheet(page, _hash(page)))


@app.command()
def approve(
    review: Id,
    reason: Reason = "",
    hash_: Hash = "",
    yes: Yes = False,
    who: As = keys.OPERATOR,
    url: UrlOption = "",
    home: HomeOption = DEFAULT,
    json_: Json = False,
) -> None:
    """Let exactly this be applied, once."""
    if yes and not hash_:
        raise Trouble(
            "--yes needs --hash: the hash of what you saw, as `meshwright reviews show ID` prints it", USAGE
        )

    async def work(mesh: Entrance) -> dict[str, Any]:
        page = await _one(mesh, review)
        if not yes:
            out().print(sheet(page, _hash(page)))
            _confirm("Approve exactly this?", quiet=json_)
        return await _say(mesh, page["id"], "approve", reason=reason, hash=hash_ or _hash(page))

    _told(_ask(work, home, url, who), "approve", as_json=json_)


@app.command()
def edit(
    review: Id,
    arguments: Annotated[
        str, typer.Option(help="All the arguments: JSON, a file of it, or - for standard input.")
    ],
    reason: Reason,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    who: As = keys.OPERATOR,
    url: UrlOption = "",
    home: HomeOption = DEFAULT,
    json_: Json = False,
) -> None:
    """Put other arguments in the place of these: a proposal of yours, through the same gate."""
    new = _arguments(arguments)

    async def work(mesh: Entrance) -> dict[str, Any]:
        page = await _one(mesh, review)
        if not yes:
            out().print(fields([("instead of", call(page)), ("propose", call({**page, "arguments": new}))]))
            _confirm("Propose this?", quiet=json_)
        return await _say(mesh, page["id"], "edit", reason=reason, hash=_hash(page), arguments=new)

    _told(_ask(work, home, url, who), "edit", as_json=json_)


@app.command()
def reject(
    review: Id,
    reason: Reason,
    who: As = keys.OPERATOR,
    url: UrlOption = "",
    home: HomeOption = DEFAULT,
    json_: Json = False,
) -> None:
    """Refuse it; it is not applied."""

    async def work(mesh: Entrance) -> dict[str, Any]:
        page = await _one(mesh, review)
        return await _say(mesh, page["id"], "reject", reason=reason)

    _told(_ask(work, home, url, who), "reject", as_json=json_)


@app.command()
def claim(
    review: Id, who: As = keys.OPERATOR, url: UrlOption = "", home: HomeOption = DEFAULT, json_: Json = False
) -> None:
    """Keep others from deciding it for a quarter of an hour."""
    _hold(review, "claim", who, url, home, as_json=json_)


@app.command()
def release(
    review: Id, who: As = keys.OPERATOR, url: UrlOption = "", home: HomeOption = DEFAULT, json_: Json = False
) -> None:
    """Let go of it again."""
    _hold(review, "release", who, url, home, as_json=json_)


def _hold(review: str, what: str, who: str, url: str, home: Path, *, as_json: bool) -> None:
    async def work(mesh: Entrance) -> dict[str, Any]:
        page = await _one(mesh, review)
        return await mesh.tell(f"/reviews/{segment(page['id'])}/{what}", {})

    page = _ask(work, home, url, who)
    if as_json:
        emit(page)
    else:
        out().print(call(page), "is yours" if what == "claim" else "is free")


def _ask(
    work: Callable[[Entrance], Awaitable[dict[str, Any]]], home: Path, url: str, who: str
) -> dict[str, Any]:
    async def asked() -> dict[str, Any]:
        async with entrance(home, url, who) as mesh:
            return await work(mesh)

    return asyncio.run(asked())


async def _one(mesh: Entrance, review: str) -> dict[str, Any]:
    """The page of a review, by the first letters of its id. Raises Trouble for none, or more than one."""
    if len(review) < WHOLE:
        page = await mesh.look("/reviews", state="all", limit=1000)
        found = [row["id"] for row in page.get("reviews", []) if str(row.get("id", "")).startswith(review)]
        if len(found) > 1:
            raise Trouble(f"{len(found)} reviews begin with {review!r}: give more of the id")
        review = found[0] if found else review
    return await mesh.look(f"/reviews/{segment(review)}")


async def _say(mesh: Entrance, review: str, decision: str, **word: Any) -> dict[str, Any]:
    return await mesh.tell(f"/reviews/{segment(review)}", {"decision": decision, **word})


def _hash(page: dict[str, Any]) -> str:
    """The hash of what was shown; worked out, not believed."""
    from meshwright.reviews.word import effect

    return effect(str(page.get("action", "")), page.get("arguments") or {})


def _confirm(question: str, *, quiet: bool) -> None:
    if quiet or not sys.stdin.isatty():
        raise Trouble(
            "nobody is there to be asked: look at it with `show`, then say --yes and its --hash", USAGE
        )
    if not typer.confirm(question):
        raise Trouble("nothing was decided")


def _arguments(text: str) -> dict[str, Any]:
    from meshwright.errors import InvalidRequest
    from meshwright.inbound.admission import strict_json

    try:
        raw = (
            sys.stdin.read()
            if text == "-"
            else text
            if text.lstrip().startswith("{")
            else Path(text).read_text()
        )
        found = strict_json(raw.encode())
    except (OSError, UnicodeError):
        raise Trouble(f"cannot read the arguments in {text!r}: give JSON, or a file of it", USAGE) from None
    except InvalidRequest as error:
        raise Trouble(f"the arguments cannot be used: {error}", USAGE) from None
    if not isinstance(found, dict):
        raise Trouble("the arguments must be a JSON object, with all of them", USAGE)
    return found


def _told(page: dict[str, Any], decision: str, *, as_json: bool) -> None:
    if as_json:
        emit(page)
        return
    from rich.text import Text

    more = page.get("state") == "open"
    out().print(
        Text.assemble(
            (f"{_WORDS[decision]} ", "yellow" if more or decision != "approve" else "green"), call(page)
        )
    )
    if more:
        done, needed = len(page.get("approvals") or []), page.get("needed")
        out().print(f"{done} of {needed} people: another one has to approve it", style="dim", markup=False)
    elif page.get("run"):
        out().print(f"see what comes of it: meshwright runs {plain(page['run'])}", style="dim", markup=False)
