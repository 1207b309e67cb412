"""What a grant costs: CPU to make and sign one, to verify one, and to carry out a whole write with it, in microseconds.

    python -m benchmarks.grant

`write` is one call of the desk in this process, client and server and commit, without a socket. The median of five rounds. Ends with
one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from desk.server import build
from meshwright.deadline import Deadline
from meshwright.grants.grant import Grant, read
from meshwright.inbound.toolapp import tool_app
from meshwright.outbound.toolbox import Toolbox
from meshwright.settings import Settings
from meshwright.testing import InProcess, Keyring
from meshwright.toolserver import Access
from shop.testing import small_shop

ROUNDS, TIMES = 5, 200
RING = Keyring("orchestrator", "desk")


def made(number: int) -> tuple[Grant, dict[str, Any]]:
    arguments = {"ticket_id": f"t{number}", "text": "We look into it. " * 20}
    grant = Grant.of(
        "reply", arguments, key=f"key-{number}", ticket="run", policy="speak", approvers=("ann",)
    )
    return grant, arguments


def _median(work: Callable[[int], object]) -> int:
    taken = []
    for turn in range(ROUNDS):
        began = time.process_time()
        for number in range(TIMES):
            work(turn * TIMES + number)
        taken.append((time.process_time() - began) / TIMES)
    return round(statistics.median(taken) * 1e6)


def main() -> None:
    signer, trust = RING.signer("orchestrator"), RING.identity("desk").trust
    by = Deadline.after(600)
    tokens = [made(number)[0].signed(signer, "desk", by) for number in range(ROUNDS * TIMES)]
    line = {
        "sign_us": _median(lambda number: made(number)[0].signed(signer, "desk", by)),
        "verify_us": _median(lambda number: read(tokens[number], trust)),
        "write_us": asyncio.run(writes()),
        "bytes": len(tokens[0]),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }
    print(json.dumps(line))


async def writes() -> int:
    with tempfile.TemporaryDirectory() as folder, closing(small_shop(Path(folder))):
        settings = Settings(shop=Path(folder) / "shop.db")
        desk = RING.identity("desk", open_to_strangers=False)
        app = tool_app(build(settings), settings, desk, Access({}, {"orchestrator": ("desk.*",)}))
        mesh = InProcess({"http://desk": app})
        async with mesh.running():
            box = Toolbox(["http://desk"], mesh.client(), RING.identity("orchestrator"))
            taken = []
            for turn in range(ROUNDS):
                began = time.process_time()
                for number in range(TIMES):
                    await box.session(by=Deadline.after(60)).apply(*made(turn * TIMES + number))
                taken.append((time.process_time() - began) / TIMES)
    return round(statistics.median(taken) * 1e6)


if __name__ == "__main__":
    main()
