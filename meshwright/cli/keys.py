"""`meshwright keys` and `meshwright token`: one key per process, who is trusted, and who may log in, in the mesh's home.

A key that is there is kept; `trust.json` keeps the names that others put there. In the cloud the same files
are mounted from secrets.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshwright.cli import topology
from meshwright.cli.console import USAGE, Json, Trouble, emit, out
from meshwright.cli.home import DEFAULT, Home, HomeOption, write_private

if TYPE_CHECKING:
    from collections.abc import Sequence

OPERATOR = "operator"
#: Whose requests `meshwright ask` brings: nobody who may decide about them.
CUSTOMER = "customer"
app = typer.Typer()
group = typer.Typer(help="Make the keys that are missing, and trust.json.", invoke_without_command=True)
app.add_typer(group, name="keys")


def ensure(
    home: Home,
    names: Sequence[str],
    people: Sequence[str] = (),
    *,
    speakers: Sequence[str] = (),
    readers: Sequence[str] = (),
) -> list[str]:
    """Make the keys that are missing for `names`, the customer, the operator and other people, and a trust.json of all.

    `speakers` are the processes that may come as one of these people, `readers` those that may see what the others decided. Returns
    the new names. Raises Trouble for a process that would have the key of a person.
    """
    from meshwright.inbound.identity import new_key

    home.make()
    trust = _read(home.trust) if home.trust.exists() else {}
    for name in names:
        if name in {CUSTOMER, OPERATOR, *people, *trust.get("operators", [])}:
            raise Trouble(
                f"no process can be called {name!r}: that is who asks or decides here, and a key is one's own"
            )
    agents = dict(trust.get("agents", {}))
    made = []
    persons = [OPERATOR, *people]
    for name in [*names, CUSTOMER, *persons]:
        if home.key(name).exists():
            agents[name] = {part: value for part, value in _read(home.key(name)).items() if part != "d"}
        else:
            private, agents[name] = new_key(name)
            write_private(home.key(name), private)
            made.append(name)
    _trust(home, {**trust, "agents": agents}, persons, speakers, readers)
    return made


def _trust(
    home: Home,
    trust: dict[str, Any],
    persons: Sequence[str],
    speakers: Sequence[str],
    readers: Sequence[str] = (),
) -> None:
    """Write trust.json with these people as operators, whom these processes speak for, and its readers. What others wrote stays."""
    before = _read(home.trust) if home.trust.exists() else {}
    operators, spoken = list(trust.get("operators", [])), dict(trust.get("speakers", {}))
    operators += [name for name in persons if name not in operators]
    for speaker in speakers:
        known = list(spoken.get(speaker, []))
        spoken[speaker] = known + [name for name in persons if name not in known]
    reading = list(trust.get("readers", []))
    reading += [name for name in readers if name not in reading]
    more = {"speakers": spoken, "readers": reading}
    whole = {**trust, "operators": operators, **{name: value for name, value in more.items() if value}}
    if whole != before:
        draft = home.trust.with_suffix(".draft")
        draft.write_text(json.dumps(whole, indent=2) + "\n")
        draft.replace(home.trust)


def bearer(home: Home, name: str, audience: str) -> str:
    """A token of `name` for one minute. Raises Trouble if this home has no key for it."""
    from meshwright.inbound.identity import Signer

    if not home.key(name).exists():
        raise Trouble(
            f"there is no key for {name!r} in {home.keys}: make one with `meshwright keys`, or choose --home"
        )
    try:
        return Signer.from_jwk(name, _read(home.key(name))).token(audience)
    except ValueError as error:
        raise Trouble(
            f"{home.key(name)} is not a private key ({error}): remove it and run `meshwright keys`"
        ) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError):
        raise Trouble(
            f"{path} cannot be read as JSON: mend it, or remove it and run `meshwright keys`"
        ) from None
    if not isinstance(document, dict):
        raise Trouble(f"{path} must hold a JSON object: mend it, or remove it and run `meshwright keys`")
    return document


@group.callback()
def keys(
    context: typer.Context,
    person: Annotated[
        list[str] | None, typer.Option(help="One more person who may decide reviews; may be given again.")
    ] = None,
    home: HomeOption = DEFAULT,
    mesh: topology.MeshOption = None,
    json_: Json = False,
) -> None:
    """Make the keys that are missing, and trust.json."""
    if context.invoked_subcommand is not None:
        return
    place, team, people = Home.at(home), topology.load(mesh), person or []
    for each in people:
        _require_person(each, team)
    made = ensure(place, team.names, people, speakers=team.speakers, readers=[team.entry])
    if json_:
        emit({"keys": str(place.keys), "trust": str(place.trust), "made": made})
        return
    text = f"made {len(made)} keys" if made else "all keys were there"
    out().print(
        f"{text}: {len(list(place.keys.iterdir()))} in {place.keys}, trust in {place.trust}",
        soft_wrap=True,
        markup=False,
    )
    if made and place.running():
        out().print("a mesh that runs learns of new keys when it is started again", style="dim")


@group.command("person")
def person_(
    name: Annotated[str, typer.Argument(help="Under this name they log in and decide.")],
    home: HomeOption = DEFAULT,
    mesh: topology.MeshOption = None,
    line: Annotated[
        bool, typer.Option("--print", help="Print the line for a file of your own; change nothing.")
    ] = False,
) -> None:
    """Let a person log in to the console: asks for their password, or reads it from standard input.

    From then on everybody has to log in.
    """
    from meshwright.passwords import hashed

    place, team = Home.at(home), topology.load(mesh)
    _require_person(name, team)
    try:
        secret = hashed(_password())
    except ValueError as error:
        raise Trouble(f"{error}: choose another one", USAGE) from None
    if line:
        sys.stdout.write(f'{name} = "{secret}"\n')
        return
    ensure(place, team.names, speakers=team.speakers, readers=[team.entry])
    _trust(place, _read(place.trust), [name], team.speakers)
    known = _read(place.people) if place.people.exists() else {}
    write_private(place.people, {**known, name: secret})
    out().print(
        f"{name} can log in to the console: {place.people}, and decides under that name: {place.trust}",
        soft_wrap=True,
        markup=False,
    )
    if place.running():
        out().print("a mesh that runs learns of it when it is started again", style="dim")


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _require_person(name: str, team: topology.Mesh) -> None:
    if name in (*team.names, CUSTOMER) or not name.isidentifier() or not name.isascii():
        raise Trouble(f"{name!r} cannot be a person: letters and digits, and no name of a process")


@app.command()
def token(
    audience: Annotated[
        str, typer.Option("--for", help="Which process it is good for; by default the mesh's entry.")
    ] = "",
    name: Annotated[
        str,
        typer.Option("--as", help="Whose token: the operator, another person with a key here, or a process."),
    ] = OPERATOR,
    home: HomeOption = DEFAULT,
) -> None:
    """Print a bearer token that lives one minute, for curl."""
    place = Home.at(home)
    running = place.running()
    entry = running.entry if running else topology.load().entry
    sys.stdout.write(bearer(place, name, audience or entry) + "\n")
