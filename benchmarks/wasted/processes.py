"""The six processes of the benchmark: our chain and the stock one, each an agent that asks an agent that calls a tool."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from benchmarks.wasted.ours import ACCESS, card
from meshwright.cli import keys
from meshwright.cli.home import Home

ROOT = Path(__file__).parents[2]
OURS, STOCK = ("alpha", "beta", "workshop"), ("stock alpha", "stock beta", "stock workshop")
#: Seconds in which all must answer.
START = 60.0


@contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """All of them around the body; where each is, by name. Their logs lie in `folder`."""
    with ExitStack() as held:
        listeners = {name: held.enter_context(socket.socket()) for name in (*OURS, *STOCK)}
        for listener in listeners.values():
            listener.bind(("127.0.0.1", 0))
        ports = {name: int(listener.getsockname()[1]) for name, listener in listeners.items()}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    place = Home.at(folder)
    place.make()
    keys.ensure(place, list(OURS))
    (folder / "agent_cards").mkdir()
    (folder / "access.toml").write_text(ACCESS)
    with ExitStack() as stack:
        for name in OURS:
            (folder / "agent_cards" / f"{name}.json").write_text(json.dumps(card(name)))
            settings = {
                "HOME": str(folder),
                "PORT": str(ports[name]),
                "KEY": str(place.key(name)),
                "TRUST": str(place.trust),
                "ACCESS": str(folder / "access.toml"),
                "LOG_LEVEL": "WARNING",
                "REFRESH": "1",
                **({"PEERS": f"{urls['beta']},{urls['stock beta']}"} if name == "alpha" else {}),
                **({"TOOLS": urls["workshop"]} if name == "beta" else {}),
            }
            _start(stack, folder, name, ["benchmarks.wasted.ours", name], settings)
        for name, after in zip(STOCK, (*STOCK[1:], ""), strict=True):
            command = ["benchmarks.wasted.stock", name.split()[1], str(ports[name]), urls.get(after, "")]
            _start(stack, folder, name, command, {})
        yield urls


def _start(stack: ExitStack, folder: Path, name: str, module: list[str], settings: dict[str, str]) -> None:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MESHWRIGHT_")}
    environ |= {f"MESHWRIGHT_{key}": value for key, value in settings.items()}
    environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    log = stack.enter_context((folder / f"{name}.log").open("wb"))
    process = subprocess.Popen(
        [sys.executable, "-m", *module], cwd=folder, env=environ, stdout=log, stderr=log
    )
    stack.callback(process.wait)
    stack.callback(process.kill)


async def ready(urls: dict[str, str]) -> None:
    """Return when all of them answer. Raises TimeoutError."""
    async with asyncio.timeout(START), httpx.AsyncClient() as http:
        for url in urls.values():
            while True:
                try:
                    await http.get(url + "/livez")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
