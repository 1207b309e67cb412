"""A LiteLLM proxy as its own process on loopback, with docs/gateway exactly as it lies there, in front of a scripted model server."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from meshwright.testing import ScriptedModel

ROOT = Path(__file__).parents[2]
FILES = ROOT / "docs" / "gateway"
#: Where `make gateway` puts the proxy: in an environment of its own.
LITELLM = ROOT / ".venv-gateway" / "bin" / "litellm"
#: Seconds it may take to start, and to stop.
START, STOP = 90.0, 20.0


class GatewayDidNotStart(Exception):
    """The text is the end of its log."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where it listens, the key of each agent, and the model server behind it."""

    url: str
    keys: Mapping[str, str]
    model: ScriptedModel

    @property
    def limits(self) -> dict[str, dict[str, int]]:
        """What keys.json says, by agent."""
        return {limits["key_alias"]: limits for limits in json.loads((FILES / "keys.json").read_text())}


@contextlib.asynccontextmanager
async def gateway(folder: Path) -> AsyncIterator[Gateway]:
    """Run one around the body; its log and its hashes are in `folder`. Raises GatewayDidNotStart."""
    agents = [limits["key_alias"] for limits in json.loads((FILES / "keys.json").read_text())]
    keys = {agent: f"sk-{secrets.token_urlsafe(32)}" for agent in agents}
    hashes = {hashlib.sha256(key.encode()).hexdigest(): agent for agent, key in keys.items()}
    (folder / "hashes.json").write_text(json.dumps(hashes))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with ScriptedModel(["nothing yet"]).serving() as model:
        surroundings = {
            name: value for name, value in os.environ.items() if not name.startswith("MESHWRIGHT_")
        }
        surroundings |= {
            "OPENAI_API_BASE": model.url,
            "PROVIDER_KEY": "the provider's",
            "LITELLM_MASTER_KEY": f"sk-{secrets.token_urlsafe(32)}",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks the internet for its price list
            "GATEWAY_HASHES": str(folder / "hashes.json"),
        }
        command = [str(LITELLM), "--config", str(FILES / "without-database.yaml"), "--telemetry", "False"]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        with _running(command, surroundings, folder) as process:
            url = f"http://127.0.0.1:{port}"
            if not await _alive(url, process):
                raise GatewayDidNotStart(_log(folder).read_text()[-2000:])
            yield Gateway(url, keys, model)


@contextlib.contextmanager
def _running(
    command: list[str], surroundings: dict[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    with (
        _log(folder).open("w") as log,
        subprocess.Popen(
            command, env=surroundings, stdout=log, stderr=subprocess.STDOUT, cwd=folder
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP)
            process.kill()


async def _alive(url: str, process: subprocess.Popen[bytes]) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(START), httpx.AsyncClient() as client:
            while process.poll() is None:
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(f"{url}/health/liveliness")).status_code == 200:
                        return True
                await asyncio.sleep(0.1)
    return False


def _log(folder: Path) -> Path:
    return folder / "proxy.log"
