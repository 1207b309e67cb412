"""Real tickets through a real mesh, and then everything it told: nowhere a key, a token, a person, or the words of a ticket.

What a person said belongs into tasks, checkpoints and runs, and what is known of a person into the shop; those are not looked at here. In
logs, traces, numbers, scores, cards, error bodies, decision rows and the audit log nothing of that has a place. But one thing: what a tool
was asked with stands in the row of that call, where no field or pattern says that it is about a person; a question to the handbook is such.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from meshwright.deadline import Deadline
from meshwright.errors import MeshError
from meshwright.outbound.directory import Directory
from meshwright.outbound.http import http_client
from meshwright.testing import RunningMesh, running_mesh
from meshwright.testing.backend import BASIC, TraceBackend
from shop.demo import tickets
from shop.seed import demo

#: Words of tickets that are also those of rules, parts and tools: what was asked for, not who asked.
PLAIN = 5
TOLD = re.compile(
    rb"eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]+|Bearer\s+[\w.-]{16,}|BEGIN [A-Z ]*PRIVATE|Traceback \(most recent"
)


@dataclass(frozen=True)
class Needle:
    """What must not be found: a word by itself, no part of a longer word or number."""

    what: str
    text: bytes
    #: It is what somebody asked for, not who.
    of_a_text: bool = False

    def stands_in(self, haystack: bytes) -> bool:
        """`haystack` in small letters."""
        if self.text not in haystack:
            return False
        alone = rb"(?<![a-z0-9.])" + re.escape(self.text) + rb"(?![a-z0-9])"
        return re.search(alone, haystack) is not None


def word(what: str, text: str, *, of_a_text: bool = False) -> Needle:
    return Needle(f"{what} {text!r}", text.lower().encode(), of_a_text)


def needles(home: Path, asked: list[str]) -> list[Needle]:
    """All that is secret or personal in this mesh, and the texts that were sent."""
    found = [word("the backend's key", BASIC.split()[1])]
    for file in (home / "keys").glob("*.json"):
        if key := json.loads(file.read_text()).get("d"):
            found.append(word(f"the key in {file.name}", key))
    assert len(found) > 12
    for customer in demo(7).customers:
        if not any(f"{customer.first_name} {customer.last_name}" in text for text in asked):
            continue
        found += [word("the name", customer.first_name), word("the name", customer.last_name)]
        found += [word("the id", customer.customer_id), word("the address", customer.email)]
        found += [word("the street", customer.address.address1), word("the zip", customer.address.zip)]
        found += [word("the card", f"{m.last_four}") for m in customer.payment_methods if m.last_four]
    for text in asked:
        words = text.split()
        for at in range(len(words) - PLAIN + 1):
            found.append(word("the words", " ".join(words[at : at + PLAIN]), of_a_text=True))
    found += [word("the street", "41 Harbour Street"), word("the place", "Portland")]
    return found


def rows(home: Path, table: str, column: str) -> Mapping[str, bytes]:
    """A column of a table of every process of the mesh, as one text each."""
    found = {}
    for file in sorted(home.glob("*.db")):
        with closing(sqlite3.connect(file)) as database:
            if database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
                values = database.execute(f"SELECT {column} FROM {table}").fetchall()
                found[f"{table} of {file.stem}"] = "\n".join(str(value) for (value,) in values).encode()
    return found


async def errors(mesh: RunningMesh, http: httpx.AsyncClient) -> AsyncIterator[tuple[str, bytes]]:
    """What those are told who call wrongly, or may not."""
    known = mesh.customer().authorization("orchestrator")
    version = {"a2a-version": "1.0"}

    def call(method: str, **params: Any) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}

    root = mesh.urls["orchestrator"]
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", f"{root}/", {"json": call("GetTask", id="nobody"), "headers": version}),
        ("POST", f"{root}/", {"json": call("GetTask", id="nobody"), "headers": known | version}),
        ("POST", f"{root}/", {"json": call("Nothing"), "headers": known | version}),
        ("POST", f"{root}/", {"content": b'{"jsonrpc": "2.0", "id": NaN', "headers": known | version}),
        ("GET", f"{root}/runs", {"headers": known}),
        ("GET", f"{root}/reviews", {"headers": {"authorization": "Bearer eyJhbGciOiJub25lIn0.e30."}}),
        ("GET", f"{root}/rest/tasks/%00", {"headers": known | version}),
    ]
    for url in mesh.urls.values():
        asked += [("GET", f"{url}/nowhere", {}), ("POST", f"{url}/mcp", {"json": {"id": 1}})]
        asked += [("GET", f"{url}/decisions?run=nobody", {})]
    for method, url, more in asked:
        answer = await http.request(method, url, **more)
        assert answer.status_code >= 400 or "error" in answer.json(), (method, url, answer.text[:200])
        yield f"{answer.status_code} of {method} {url.removeprefix(root)}", answer.content


@asynccontextmanager
async def telling(home: Path, backend: TraceBackend) -> AsyncIterator[RunningMesh]:
    env = {**backend.environment(500), "MESHWRIGHT_LOG_FORMAT": "json", "OTEL_METRIC_EXPORT_INTERVAL": "1000"}
    running = running_mesh(home, env=env)
    mesh = await asyncio.to_thread(running.__enter__)
    try:
        yield mesh
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


async def test_nothing_that_is_told_tells_who_asked_or_holds_a_key(
    tmp_path: Path, backend: TraceBackend
) -> None:
    told: dict[str, bytes] = {}
    async with telling(tmp_path, backend) as mesh, http_client() as http:
        directory = Directory([mesh.urls["orchestrator"]], http, mesh.customer())
        await directory.wait_for(["handle-ticket"], Deadline.after(20))
        peer = directory.candidates("handle-ticket")[0]
        asked = tickets(tmp_path / "shop.db", 7)
        for text in asked:
            with suppress(MeshError):  # one waits for a person
                await peer.ask({}, text=text, by=Deadline.after(30))
        async with httpx.AsyncClient(timeout=20) as client:
            for name, url in mesh.urls.items():
                for path in ("/.well-known/agent-card.json", "/metrics", "/readyz", "/livez"):
                    answer = await client.get(url + path)
                    told[f"{path} of {name}"] = answer.content
            async for what, body in errors(mesh, client):
                told[what] = body
    told["traces"], told["metrics"] = b"\n".join(backend.bodies), b"\n".join(backend.metrics)
    told["scores"] = json.dumps(list(backend.scores.values())).encode()
    logs = {file.name: file.read_bytes() for file in (tmp_path / "logs").glob("*.log")}
    told |= {**logs, **rows(tmp_path, "decisions", "body"), **rows(tmp_path, "audit_log", "payload")}
    reasons = rows(tmp_path, "decisions", "json_remove(body, '$.call')")
    told |= {f"the rows of {where} but their calls": text for where, text in reasons.items()}

    cards = b"\n".join(text for where, text in told.items() if "agent-card" in where).lower()
    secrets = [
        needle
        for needle in needles(tmp_path, asked)
        if not (
            needle.what.startswith("the words") and needle.stands_in(cards)
        )  # examples of what one can ask
    ]
    found = [
        f"{needle.what} stands in {where}"
        for where, text in told.items()
        for small in [text.lower()]
        for needle in secrets
        if needle.stands_in(small) and not (needle.of_a_text and where.startswith("decisions of "))
    ]
    found += [
        f"{hit.group()!r} stands in {where}" for where, text in told.items() for hit in TOLD.finditer(text)
    ]
    assert found == [], "\n".join(found)
    # It was looked at what there is, and what is looked for would have been found.
    assert all(
        told[where] for where in ("traces", "metrics", "decisions of orchestrator", "decisions of orders")
    )
    assert any(needle.stands_in(" ".join(asked).lower().encode()) for needle in secrets)
    for name, text in logs.items():
        for line in text.splitlines():
            assert isinstance(json.loads(line), dict), (name, line)
