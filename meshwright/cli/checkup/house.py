"""What can be seen without asking anybody: the settings, the home and its disk, the keys and whom they let in, the ports, the console."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from meshwright.cli import keys, surroundings
from meshwright.cli.checkup.diagnosis import Diagnosis, Patient, ill, size, watch, well
from meshwright.cli.console import Trouble
from meshwright.passwords import is_hash
from meshwright.settings import PREFIX, Settings, SettingsError

#: Bytes that are left on a disk: below the first one should look, below the second nothing can be promised any more.
TIGHT, FULL = 1_000_000_000, 100_000_000
#: Settings that name files or folders which must be there.
_FILES = ("key", "trust", "policy", "access", "audit_key", "console_users")


def readable(environ: Mapping[str, str]) -> tuple[Settings | None, list[str]]:
    """The settings without those that cannot be used, and what is wrong with each of these; None if that cannot be told apart."""
    left, wrong = dict(environ), list[str]()
    while True:
        try:
            return Settings.from_env(left), wrong
        except SettingsError as error:
            wrong.append(str(error))
            named = re.search(rf"{PREFIX}\w+", str(error))
            if named is None or left.pop(named[0], None) is None:
                return None, wrong


async def settings(patient: Patient) -> list[Diagnosis]:
    """Every MESHWRIGHT_* variable: known, of a value that can be used, and true where it names a file."""
    _, wrong = readable(patient.environ)
    found = [ill("settings", each, "set it right, or unset it: no process starts with it") for each in wrong]
    chosen = patient.settings
    if chosen is not None:
        for field in _FILES:
            path = getattr(chosen, field, None)
            if isinstance(path, Path) and not path.exists():
                found.append(
                    ill(
                        "settings",
                        f"{PREFIX}{field.upper()} names {path}, which is not there",
                        "mend the path",
                    )
                )
        if chosen.deadline > chosen.deadline_max:
            says = f"DEADLINE ({chosen.deadline:g} s) is above DEADLINE_MAX ({chosen.deadline_max:g} s), which then counts"
            found.append(watch("settings", says, "raise the one or lower the other"))
    if found:
        return found
    names = sorted(name for name in patient.environ if name.upper().startswith(PREFIX))
    return [well("settings", f"{len(names)} set: {', '.join(names)}" if names else "none set: all defaults")]


async def folder(patient: Patient) -> list[Diagnosis]:
    """The home: ours, writable, with room on its disk."""
    path = patient.home.path
    if not path.exists():
        return [watch("home", f"{path} is not there yet", "`meshwright up` makes it")]
    if not (path.is_dir() and os.access(path, os.W_OK | os.X_OK)):
        return [ill("home", f"{path} cannot be written to", "give it to the user who runs the mesh")]
    free = shutil.disk_usage(path).free
    if free < FULL:
        return [
            ill(
                "home", f"{size(free)} left on the disk of {path}", "make room: a full disk takes no requests"
            )
        ]
    if free < TIGHT:
        return [
            watch("home", f"{size(free)} left on the disk of {path}", "make room, or `meshwright db purge`")
        ]
    if path.stat().st_mode & stat.S_IWOTH:
        return [watch("home", f"everybody may write to {path}", f"chmod o-w {path}")]
    return [well("home", f"{path}, {size(free)} free")]


async def identity(patient: Patient) -> list[Diagnosis]:
    """The keys: there, private, those that trust.json knows; and who may decide, and speak for whom."""
    home, chosen = patient.home, patient.settings
    if chosen is not None and chosen.key and chosen.trust:  # one process's own, as in a container
        if not (chosen.key.exists() and chosen.trust.exists()):
            return []  # `settings` says so
        return list(_mounted(chosen.key, chosen.trust)) or [
            well("keys", f"{chosen.key}, trust in {chosen.trust}")
        ]
    if not home.trust.exists():
        return [
            watch(
                "keys",
                f"there are none in {home.path}",
                "`meshwright keys` makes them, and so does `meshwright up`",
            )
        ]
    trust = _document(home.trust)
    if trust is None:
        return [_unreadable("trust", home.trust)]
    found = [*_of_home(patient, trust), *_people(trust)]
    known = _table(trust, "agents")
    people = ", ".join(_names(trust, "operators"))
    counts = f"{len(known)} known, {people} may decide"
    return found or [well("keys", f"{counts}; the private ones are for this user only")]


def _of_home(patient: Patient, trust: Mapping[str, Any]) -> Iterator[Diagnosis]:
    again = "`meshwright keys`, then start the mesh again"
    home, known = patient.home, _table(trust, "agents")
    if home.keys.exists() and home.keys.stat().st_mode & 0o077:
        yield ill("keys", f"others may look into {home.keys}", f"chmod 700 {home.keys}")
    for process in [*(process.name for process in patient.mesh.processes), keys.OPERATOR]:
        path = home.key(process)
        if not path.exists():
            yield ill("keys", f"there is no key for {process}", again)
            continue
        if path.stat().st_mode & 0o077:
            yield ill("keys", f"others may read {path}", f"chmod 600 {path}, and if they may have: {again}")
        private = _document(path)
        if private is None or not private.get("d"):
            yield ill("keys", f"{path} is no private key", f"remove it, {again}")
        elif not isinstance(public := known.get(process), dict):
            yield ill("trust", f"trust.json does not know {process}", again)
        elif public.get("x") != private.get("x"):
            yield ill("trust", f"trust.json has another key for {process} than it signs with", again)


def _mounted(key: Path, trust: Path) -> Iterator[Diagnosis]:
    """What a process was given: its group may read it, others not."""
    private, whole = _document(key), _document(trust)
    if key.stat().st_mode & 0o007:
        yield ill(
            "keys", f"everybody may read {key}", f"chmod o-rwx {key}, or defaultMode: 0440 of its volume"
        )
    if private is None or not private.get("d"):
        yield _unreadable("keys", key)
    if whole is None:
        yield _unreadable("trust", trust)
        return
    if private and private.get("x") not in [
        each.get("x") for each in _table(whole, "agents").values() if isinstance(each, dict)
    ]:
        yield ill(
            "trust",
            f"{trust} does not know {key}",
            "hand out the trust.json that `meshwright keys` made with it",
        )
    yield from _people(whole)


def _people(trust: Mapping[str, Any]) -> Iterator[Diagnosis]:
    known, operators = _table(trust, "agents"), _names(trust, "operators")
    spoken = {
        name for people in _table(trust, "speakers").values() if isinstance(people, list) for name in people
    }
    if not operators:
        yield watch("trust", "nobody may decide reviews", "`meshwright keys --person NAME`")
    for name in operators:
        if name not in known and name not in spoken:
            yield watch(
                "trust",
                f"{name} may decide, and has no key to say so with",
                f"`meshwright keys --person {name}`",
            )
    for speaker, people in _table(trust, "speakers").items():
        if speaker not in known:
            yield ill("trust", f"{speaker} may speak for others, and has no key", "`meshwright keys`")
        for name in people if isinstance(people, list) else []:
            if name not in operators:
                yield watch(
                    "trust", f"{speaker} may speak for {name}, who is no operator", f"add {name} to operators"
                )


async def ports(patient: Patient) -> list[Diagnosis]:
    """Whether the mesh can have its ports, or has them."""
    if patient.runs:
        return [well("ports", "taken by the mesh itself")]
    try:
        taken = surroundings.taken(patient.mesh, patient.base)
    except Trouble as trouble:
        says, _, way_out = str(trouble).partition(": ")
        return [ill("ports", says, way_out)]
    if taken:
        names = ", ".join(f"{patient.base + process.port} ({process.name})" for process in taken)
        return [ill("ports", f"taken by other programs: {names}", "stop them, or choose others with --ports")]
    last = max(process.port for process in patient.mesh.processes)
    return [well("ports", f"{patient.base} to {patient.base + last} are free")]


async def console(patient: Patient) -> list[Diagnosis]:
    """Who may come in where people look: nobody unknown, as soon as others can reach it; and who logs in may be spoken for."""
    chosen, home = patient.settings, patient.home
    file = (chosen and chosen.console_users) or home.people
    if not file.exists():
        if chosen is None or chosen.console_users:
            return []  # `settings` says so
        if chosen.is_loopback:
            return [well("console", "this machine only: whoever sits at it is the operator")]
        says = f"{chosen.host} can be reached from other machines, and nobody may log in"
        return [ill("console", says, "`meshwright keys person NAME`, or the console does not start")]
    if file.stat().st_mode & 0o007:
        return [ill("console", f"everybody may read {file}", f"chmod o-rwx {file}")]
    people = _hashes(file)
    if people is None:
        return [
            ill("console", f"{file} is no list of names and password hashes", "`meshwright keys person NAME`")
        ]
    trust = _document((chosen and chosen.trust) or home.trust) or {}
    spoken = [
        _names(_table(trust, "speakers"), process.name)
        for process in patient.mesh.processes
        if process.kind == "web"
    ]
    mute = [name for name in people if not any(name in each for each in spoken)]
    if mute and trust:
        says = f"{', '.join(mute)} may log in, and the console may not speak for them"
        return [
            ill(
                "console",
                says,
                "add them to operators and speakers in trust.json: `meshwright keys person NAME`",
            )
        ]
    return [well("console", f"{', '.join(people)} may log in")]


def _hashes(file: Path) -> list[str] | None:
    """The names in a file of people; None for one that the console would not take."""
    try:
        text = file.read_text("utf-8")
        found = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or not found:
        return None
    return sorted(found) if all(isinstance(each, str) and is_hash(each) for each in found.values()) else None


def _document(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _unreadable(name: str, path: Path) -> Diagnosis:
    return ill(name, f"{path} cannot be read as what it should be", "remove it, then `meshwright keys`")


def _table(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _names(document: Mapping[str, Any], name: str) -> list[str]:
    found = document.get(name)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
