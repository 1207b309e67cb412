"""`meshwright keys` and `meshwright token`: one key per process, and who is trusted, in the mesh's home.

A key that is there is kept; `trust.json` keeps the names that others put there. In the cloud the same files
are mounted from secrets.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from meshwright.cli import topology
from meshwright.cli.console import Json, Trouble, emit, out
from meshwright.cli.home import DEFAULT, Home, HomeOption, write_private

OPERATOR = "operator"
#: Whose requests `meshwright ask` brings: nobody who may decide about them.
CUSTOMER = "customer"
app = typer.Typer()


def ensure(home: Home, names: list[str], people: list[str] | None = None) -> list[str]:
    """Make the keys that are missing for `names`, the customer, the operator and other people, and a trust.json of all.

    Returns the new names.
    """
    from meshwright.inbound.identity import new_key

    home.make()
    trust = _read(home.trust) if home.trust.exists() else {}
    agents, operators = dict(trust.get("agents", {})), list(trust.get("operators", []))
    made = []
    persons = [OPERATOR, *(people or [])]
    for name in [*names, CUSTOMER, *persons]:
        if home.key(name).exists():
            agents[name] = {part: value for part, value in _read(home.key(name)).items() if part != "d"}
        else:
            private, agents[name] = new_key(name)
            write_private(home.key(name), private)
            made.append(name)
    operators += [name for name in persons if name not in operators]
    whole = {**trust, "agents": agents, "operators": operators}
    if whole != trust:
        draft = home.trust.with_suffix(".draft")
        draft.write_text(json.dumps(whole, indent=2) + "\n")
        draft.replace(home.trust)
    return made


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


@app.command()
def keys(
    person: Annotated[
        list[str] | None, typer.Option(help="One more person who may decide reviews; may be given again.")
    ] = None,
    home: HomeOption = DEFAULT,
    mesh: topology.MeshOption = None,
    json_: Json = False,
) -> None:
    """Make the keys that are missing, and trust.json."""
    place = Home.at(home)
    names = [process.name for process in topology.load(mesh).processes]
    people = person or []
    if wrong := [each for each in people if each in names or not each.isidentifier() or not each.isascii()]:
        raise Trouble(f"{wrong[0]!r} cannot be a person: letters and digits, and no name of a process")
    made = ensure(place, names, people)
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


@app.command()
def token(
    audience: Annotated[
        str, typer.Option("--for", help="Which process it is good for; by default the mesh's entry.")
    ] = "",
    name: Annotated[str, typer.Option("--as", help="Whose token: the operator, or a process.")] = OPERATOR,
    home: HomeOption = DEFAULT,
) -> None:
    """Print a bearer token that lives one minute, for curl."""
    sys.stdout.write(bearer(Home.at(home), name, audience or topology.load().entry) + "\n")
