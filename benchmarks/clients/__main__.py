"""Which A2A clients of other frameworks get along with our server, and what each can do with it.

    make clients
    python -m benchmarks.clients [--only NAME]

Each is installed once, in the version that is named here, into a folder of its own below `.venv-clients` (740 MB in all; `make clean`
removes them), and drives one agent (`clerk.py`) that answers, asks, fails and takes its time. `send` is a call that blocks, `again` a
second one in the same conversation, `answer` goes on with a task that asked. Empty: the client has no such thing, or cannot.
Ends with one JSON line, and with exit code 1 if something was not as it should be.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from meshwright.testing.processes import free_base

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
PLACE = ROOT / ".venv-clients"
#: Seconds that a server may take to start, and a client for all that it does.
START, PATIENCE = 30.0, 300.0
JS = "@a2a-js/sdk"
#: What is installed for each, and as what it converses.
CLIENTS = {
    "a2a-sdk 1.3.0": (("a2a-sdk[grpc,http-server]==1.3.0",), "a2a-sdk"),
    "a2a-sdk 0.3.26": (("a2a-sdk[http-server]==0.3.26",), "a2a-sdk-0.3"),
    f"{JS} 1.3.0": ((f"{JS}@1.3.0", "@grpc/grpc-js@1.14.7", "@bufbuild/protobuf@2.17.0"), ""),
    "google-adk 2.13.0": (("google-adk[a2a]==2.13.0",), "google-adk"),
    "strands-agents 1.62.0": (("strands-agents[a2a]==1.62.0",), "strands-agents"),
    "agent-framework-a2a 1.0.0b261022": (("agent-framework-a2a==1.0.0b261022",), "agent-framework"),
    "ag2 1.2.1": (("ag2[a2a]==1.2.1",), "ag2"),
}
#: Who is given a card that lists gRPC, too: google-adk takes none that does, because its address there has no scheme (A2A 1.0.1).
OVER_GRPC = ("a2a-sdk 1.3.0", f"{JS} 1.3.0")

Rows = dict[str, dict[str, bool | str]]


def installed(client: str) -> list[str]:
    """The command that drives a client, which is installed first if it is not there. Raises CalledProcessError."""
    folder = PLACE / client.replace("/", "-").replace(" ", "-")
    packages, name = CLIENTS[client]
    javascript = client.startswith(JS)
    if not (folder / "installed").exists():
        print(f"installing {client}", file=sys.stderr)
        if javascript:
            folder.mkdir(parents=True, exist_ok=True)
            command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder)]
        else:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            command = [
                str(folder / "bin/python"),
                "-m",
                "pip",
                "install",
                "-q",
                "--disable-pip-version-check",
            ]
        subprocess.run([*command, *packages], check=True)
        (folder / "installed").touch()
    if javascript:  # it finds its packages where it lies
        return ["node", shutil.copy(str(HERE / "sdk.mjs"), str(folder))]
    return [str(folder / "bin/python"), str(HERE / "conversations.py"), name]


@contextmanager
def clerk(grpc: bool) -> Iterator[str]:
    """The address of the agent, served by a process of its own. Raises TimeoutError."""
    port = free_base(2)
    url = f"http://127.0.0.1:{port}"
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MESHWRIGHT_")}
    with tempfile.TemporaryDirectory(prefix="mesh-clients-") as home:
        environ |= {"PYTHONPATH": str(ROOT), "MESHWRIGHT_PORT": str(port), "MESHWRIGHT_DATABASE": "memory:"}
        environ |= {"MESHWRIGHT_HOME": home, "MESHWRIGHT_GRPC_PORT": str(port + 1) if grpc else ""}
        command = [sys.executable, "-m", "benchmarks.clients.clerk"]
        with subprocess.Popen(command, cwd=HERE, env=environ, stderr=subprocess.DEVNULL) as process:
            try:
                until = time.monotonic() + START
                while not _ready(url):
                    if time.monotonic() > until or process.poll() is not None:
                        raise TimeoutError("the agent did not start")
                    time.sleep(0.1)
                yield url
            finally:
                process.terminate()


def _ready(url: str) -> bool:
    with suppress(URLError, OSError), urlopen(f"{url}/readyz", timeout=1) as answer:
        return bool(answer.status == 200)
    return False


def driven(client: str) -> Rows:
    """What a client can do, by the binding that it calls over."""
    command = installed(client)
    with clerk(client in OVER_GRPC) as url:
        run = subprocess.run([*command, url], capture_output=True, text=True, timeout=PATIENCE)
    if run.returncode:
        return {"": {"start": run.stderr.strip()[-300:] or f"it ended with {run.returncode}"}}
    found: Rows = json.loads(run.stdout.splitlines()[-1])
    return found


def table(rows: Rows) -> Iterator[str]:
    """A line for each row: what went as it should, and what did not."""
    scenarios = list(dict.fromkeys(name for row in rows.values() for name in row))
    width = max(map(len, rows))
    yield "  ".join([" " * width, *scenarios])
    for name, row in rows.items():
        marks = [
            ("" if each not in row else "yes" if row[each] is True else "NO").ljust(len(each))
            for each in scenarios
        ]
        yield "  ".join([name.ljust(width), *marks]).rstrip()


def main() -> None:
    parser = argparse.ArgumentParser(prog="make clients", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="a client, as a2a-sdk; may be repeated"
    )
    wanted = parser.parse_args().only
    if shutil.which("npm") is None and not wanted:
        raise SystemExit(f"{JS} needs npm and node 20: install them, or name the others with --only")
    rows: Rows = {}
    for client in CLIENTS:
        if not wanted or client.partition(" ")[0] in wanted:
            rows |= {f"{client} {binding}".strip(): row for binding, row in driven(client).items()}
    if not rows:
        raise SystemExit(f"there is no such client; there are {', '.join(CLIENTS)}")
    print(*table(rows), sep="\n")
    wrong = [f"{n}: {each}: {why}" for n, row in rows.items() for each, why in row.items() if why is not True]
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    print(json.dumps({"clients": rows}), flush=True)
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
