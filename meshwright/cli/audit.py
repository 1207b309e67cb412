"""`meshwright audit`: read the audit log, prove what stands in it, and find out whether somebody has changed it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshwright.cli import topology
from meshwright.cli.console import FAILED, Json, Trouble, emit, out, plain
from meshwright.cli.db import UrlOption, each, require_schema
from meshwright.cli.home import DEFAULT, Home, HomeOption

if TYPE_CHECKING:
    from meshwright.audit.anchor import Anchor, Kept
    from meshwright.audit.note import Verifier
    from meshwright.database import Database

AnchorOption = Annotated[
    Path | None,
    typer.Option(
        "--anchor",
        envvar="MESHWRIGHT_AUDIT_ANCHOR",
        help="The checkpoints: the file of the process that signs, or its collected output. By default that in --home.",
    ),
]
KeyOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--key",
        help="A public key that signs: JWK, trust.json, or a line name+id+key. By default trust.json in --home.",
    ),
]

app = typer.Typer(no_args_is_help=True, help="The audit log: read it, prove it, see whether it was changed.")


@app.command()
def verify(
    home: HomeOption = DEFAULT,
    database: UrlOption = "",
    anchor: AnchorOption = None,
    key: KeyOption = None,
    chain_only: Annotated[
        bool,
        typer.Option(
            "--chain-only",
            help="Without checkpoints. This proves nothing about the end, nor about the owner.",
        ),
    ] = False,
    json_: Json = False,
) -> None:
    """Read the whole log. Exit code 1, and the first entry that is wrong, if it is not what was written and signed."""
    place = Home.at(home)
    where = _anchor(place, database, anchor)

    async def act(open_: Database) -> dict[str, Any]:
        from meshwright.audit.anchor import Kept
        from meshwright.audit.inspection import inspect

        await require_schema(open_)
        kept = None if chain_only else (_kept(where, _keys(place, key)) or Kept())
        began = time.perf_counter()
        found = await inspect(open_, kept, where)
        seconds = time.perf_counter() - began
        fault = found.fault
        if kept is not None and not where.path.exists():
            found.notes.append(
                f"there is no file {where.path}: a process makes it with its first checkpoint, at most"
                " MESHWRIGHT_AUDIT_EVERY seconds (60) after the first entry"
            )
        return {
            "clean": found.clean,
            "entries": found.entries,
            "signed": found.signed,
            "checkpoints": found.checkpoints,
            "fault": {"kind": fault.kind, "seq": fault.seq, "says": fault.says} if fault else None,
            "wrong": found.wrong,
            "notes": found.notes,
            "seconds": round(seconds, 3),
        }

    found = each([_url(place, database)], act)
    if json_:
        emit(found)
    else:
        for url, facts in found.items():
            _tell(url, facts)
    if not all(facts["clean"] for facts in found.values()):
        raise SystemExit(FAILED)


def _tell(url: str, facts: dict[str, Any]) -> None:
    say = out().print
    say(url, style="bold", markup=False, soft_wrap=True)
    if facts["fault"]:
        say(
            f"  {facts['fault']['kind'].upper()}: {facts['fault']['says']}",
            style="red",
            markup=False,
            soft_wrap=True,
        )
    for line in facts["wrong"]:
        say(f"  WRONG: {line}", style="red", markup=False, soft_wrap=True)
    for line in facts["notes"]:
        say(f"  note: {line}", markup=False, soft_wrap=True)
    state = "clean" if facts["clean"] else "read up to there"
    say(
        f"  {facts['entries']} entries {state}, {facts['signed']} of them signed by {facts['checkpoints']} checkpoints",
        markup=False,
    )


@app.command("list")
def list_(
    run: Annotated[str, typer.Option(help="Only of this run.")] = "",
    action: Annotated[str, typer.Option(help="Only about this action, by its key.")] = "",
    kind: Annotated[str, typer.Option(help="Only this kind: gate.verdict, or all of review.")] = "",
    actor: Annotated[str, typer.Option(help="Only what this process or person did.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
    home: HomeOption = DEFAULT,
    database: UrlOption = "",
    json_: Json = False,
) -> None:
    """What stands in the log, oldest first."""

    async def act(open_: Database) -> dict[str, Any]:
        from meshwright.audit.proof import chosen

        await require_schema(open_)
        wanted = {"run": run, "action": action, "kind": kind, "actor": actor}
        return {"entries": await chosen(open_, wanted, limit)}

    found = each([_url(Home.at(home), database)], act)
    if json_:
        emit(found)
        return
    for facts in found.values():
        if not facts["entries"]:
            out().print("no such entry stands in the log")
        for row in facts["entries"]:
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(row["at"]))
            about = " ".join(part for part in (row["run"], row["action"]) if part)
            out().print(
                plain(
                    f"{row['seq']:>7}  {when}Z  {row['kind']:<18} {row['actor']:<14} {about}  {_body(row['payload'])}"
                ),
                markup=False,
                soft_wrap=True,
            )


@app.command()
def prove(
    seq: Annotated[int, typer.Argument(help="The number of the entry.")],
    home: HomeOption = DEFAULT,
    database: UrlOption = "",
    anchor: AnchorOption = None,
    key: KeyOption = None,
) -> None:
    """A proof that an entry is in the log that was signed, as JSON, for `check-proof`."""
    place = Home.at(home)

    async def act(open_: Database) -> dict[str, Any]:
        from meshwright.audit.anchor import Kept
        from meshwright.audit.proof import prove as proof_of

        await require_schema(open_)
        return await proof_of(
            open_, seq, _kept(_anchor(place, database, anchor), _keys(place, key)) or Kept()
        )

    for proof in each([_url(place, database)], act).values():
        emit(proof)


@app.command("check-proof")
def check_proof(
    file: Annotated[Path, typer.Argument(help="What `prove` has printed; - for standard input.")],
    home: HomeOption = DEFAULT,
    key: KeyOption = None,
    json_: Json = False,
) -> None:
    """Check a proof with the public key alone: no database, no network."""
    from meshwright.audit.proof import checked

    try:
        proof = json.loads(sys.stdin.read() if str(file) == "-" else file.read_text())
    except (OSError, ValueError):
        raise Trouble(f"{file} holds no JSON: print a proof with `meshwright audit prove`") from None
    checkpoint = checked(proof if isinstance(proof, dict) else {}, _keys(Home.at(home), key))
    seq = proof["entry"]["seq"]
    if json_:
        emit({"seq": seq, "size": checkpoint.size, "origin": checkpoint.origin})
    else:
        out().print(
            f"entry {seq} is one of the {checkpoint.size} that {checkpoint.origin} has signed", markup=False
        )


@app.command()
def export(
    home: HomeOption = DEFAULT, database: UrlOption = "", anchor: AnchorOption = None, key: KeyOption = None
) -> None:
    """The whole log as lines of JSON, and the last checkpoint."""
    place = Home.at(home)

    async def act(open_: Database) -> dict[str, Any]:
        from meshwright.audit.proof import exported

        await require_schema(open_)
        kept = _kept(_anchor(place, database, anchor), _keys(place, key))
        async for line in exported(open_, kept):
            sys.stdout.write(line + "\n")
        return {}

    each([_url(place, database)], act)


def _url(home: Home, database: str) -> str:
    """The database of the process that keeps the log: the entry of the mesh."""
    return database or f"sqlite:///{home.path / topology.load().entry}.db"


def _anchor(home: Home, database: str, path: Path | None) -> Anchor:
    """Where the process itself puts its checkpoints, unless another place is named."""
    from meshwright.audit.anchor import Anchor
    from meshwright.settings import Settings

    return Anchor(path or Settings(home=home.path, database=database).audit_files(topology.load().entry)[0])


def _kept(anchor: Anchor, keys: list[Verifier]) -> Kept | None:
    try:
        return anchor.read(keys)
    except FileNotFoundError:
        return None


def _keys(home: Home, paths: list[Path] | None) -> list[Verifier]:
    from meshwright.audit.note import verifier_of

    found = []
    for path in paths or [home.trust]:
        try:
            found.append(verifier_of(topology.load().entry, path.read_text()))
        except OSError as error:
            raise Trouble(f"cannot read {path} ({error.strerror}): name a public key with --key") from None
        except (ValueError, KeyError, AttributeError) as error:
            raise Trouble(f"{path} holds no public key ({error}): name another with --key") from None
    return found


def _body(payload: str) -> str:
    try:
        return json.dumps(json.loads(payload), ensure_ascii=False)
    except ValueError:  # somebody has edited it
        return payload
