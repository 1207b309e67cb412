"""The processes of a running mesh: do they answer, what do their cards say, do they reach one another, do their clocks agree."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from importlib.metadata import version as installed
from typing import Any

from meshwright.cli.checkup.diagnosis import ANSWER, Diagnosis, Patient, ill, watch, well
from meshwright.cli.console import NoSuchPage, Trouble
from meshwright.inbound.identity import LEEWAY

CARD = "/.well-known/agent-card.json"
#: Seconds that a clock may be off, beyond what cannot be told, before somebody should know: a busy process renews its header late.
OFF = 2.0
_AGENT = {"ready": "well", "cold": "well", "busy": "watch", "stale": "watch"}


@dataclass(slots=True)
class Visit:
    """What one process answered. `off` is how many seconds its clock is at least ahead of ours, or behind it."""

    name: str
    url: str
    fault: str = ""
    card: dict[str, Any] = field(default_factory=dict)
    ready: dict[str, Any] = field(default_factory=dict)
    off: float | None = None


async def processes(patient: Patient) -> list[Diagnosis]:
    """A line for each process, and one for what they say of one another and of the time."""
    if not patient.runs:
        return [
            watch(
                "mesh",
                f"none runs from {patient.home.path}",
                "`meshwright up` starts one; the rest was checked",
            )
        ]
    visits = await asyncio.gather(*(_visit(patient, name, url) for name, url in patient.urls.items()))
    return [*(_told(patient, visit) for visit in visits), *_clocks(visits), *await _ways(patient, visits)]


async def _visit(patient: Patient, name: str, url: str) -> Visit:
    import httpx

    visit = Visit(name, url)
    try:
        async with asyncio.timeout(ANSWER):
            if patient.kinds.get(name, "a2a") == "a2a":
                visit.card = _object(await patient.http.get(url + CARD))
                if not visit.card:
                    visit.fault = "serves no card"
            began = time.time()
            answer = await patient.http.get(url + "/readyz")
            visit.off = _off(answer.headers.get("date", ""), began, time.time())
            visit.ready = _object(answer)
    except TimeoutError:
        visit.fault = f"does not answer within {ANSWER:g} s"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        visit.fault = f"does not answer ({type(error).__name__})"
    return visit


def _told(patient: Patient, visit: Visit) -> Diagnosis:
    log = patient.home.log(visit.name)
    look = f"see {log}" if log.exists() else f"see whether {visit.url} is its address, and what its log says"
    name = f"{'card' if visit.card else 'process'} {visit.name}"
    if visit.fault:
        return ill(name, f"{visit.fault}: {visit.url}", look)
    says = " · ".join(_card(visit.card)) if visit.card else "answers"
    waits = visit.ready.get("waiting_for")
    if visit.ready.get("draining"):
        return watch(name, f"{says} · is leaving", "it comes back by itself if somebody restarts it")
    if visit.ready.get("ready") is False:
        why = ", ".join(f"{k}: {v}" for k, v in waits.items()) if isinstance(waits, dict) else ""
        return ill(name, f"{says} · not ready{f' ({why})' if why else ''}", look)
    said, ours = str(visit.card.get("version") or ""), installed("meshwright")
    if visit.card and said != ours:
        return watch(name, f"{says} · this command is {ours}", "fine while a new version rolls out")
    return well(name, says)


def _card(card: dict[str, Any]) -> list[str]:
    skills, signatures = card.get("skills"), card.get("signatures")
    count = len(skills) if isinstance(skills, list) else 0
    signed = (
        f"{len(signatures)} signatures, not checked"
        if isinstance(signatures, list) and signatures
        else "unsigned"
    )
    return [str(card.get("version") or "no version"), f"{count} skills" if count != 1 else "1 skill", signed]


def _clocks(visits: list[Visit]) -> list[Diagnosis]:
    """Tokens live by the clock: who is too far off is refused by everybody."""
    off = {visit.name: visit.off for visit in visits if visit.off is not None}
    if not off:
        return []
    wrong = {name: seconds for name, seconds in off.items() if abs(seconds) > OFF}
    if not wrong:
        return [well("clocks", f"{len(off)} processes within {OFF:g} s of this one")]
    says = ", ".join(
        f"{name} {seconds:+.1f} s" for name, seconds in sorted(wrong.items(), key=lambda x: -abs(x[1]))
    )
    keep = "let NTP keep the machines' time"
    if max(map(abs, wrong.values())) > LEEWAY:
        return [ill("clocks", f"{says}: beyond {LEEWAY} s tokens are refused", keep)]
    return [watch("clocks", says, keep)]


async def _ways(patient: Patient, visits: list[Visit]) -> list[Diagnosis]:
    """Whether each reaches those it calls: what the entry says of its peers, and every process of its breakers."""
    found: list[Diagnosis] = []
    count = 0
    page: dict[str, Any] | None = None
    try:
        page = await patient.look("/peers")
    except NoSuchPage:
        pass  # an agent and no orchestrator: how it stands with others its breakers say
    except Trouble as trouble:
        says, _, way_out = str(trouble).partition(": ")
        found.append(ill("peers", f"{patient.entry} does not tell of its peers: {says}", way_out))
    for row in [*_rows(page or {}, "peers"), *_rows(page or {}, "tools")]:
        status, name = str(row.get("status") or "unknown"), str(row.get("name") or row.get("url") or "?")
        state = _AGENT.get(status, "ill")
        if state == "well":
            count += 1
            continue
        why = f": {row['why']}" if row.get("why") else ""
        line = (
            f"peer {name}",
            f"{status} to {patient.entry}{why}",
            "start it, or see its log; `meshwright agents`",
        )
        found.append(watch(*line) if state == "watch" else ill(*line))
    for visit in visits:
        found += _breakers(visit)
    if found:
        return found
    reached = f"{count} within reach of {patient.entry}; " if page is not None else ""
    return [well("peers", f"{reached}all breakers closed")]


def _breakers(visit: Visit) -> list[Diagnosis]:
    found = []
    for kind in ("peers", "tools"):
        table = visit.ready.get(kind)
        for callee, health in table.items() if isinstance(table, dict) else ():
            if not isinstance(health, dict) or health.get("state") in (None, "closed"):
                continue
            state, wait = health["state"], health.get("retry_in")
            again = f", asked again in {wait:.0f} s" if isinstance(wait, int | float) and wait > 0 else ""
            line = (
                f"breaker {visit.name}",
                f"{state} to {callee}{again}",
                f"it closes by itself once {callee} is well: see that one's log",
            )
            found.append(watch(*line) if state == "half-open" else ill(*line))
    return found


def _off(date: str, began: float, ended: float) -> float | None:
    """How far a Date header is from the time in which it was made; it has whole seconds, cut off. Negative where it is behind."""
    try:
        said = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError):
        return None
    return said - ended if said > ended else min(said + 1 - began, 0.0)


def _object(answer: Any) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _rows(page: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = page.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
