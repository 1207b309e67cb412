"""What the second wall stops: a real LiteLLM proxy with docs/gateway, and an agent that takes no notice of budgets.

    make gateway

Ends with one JSON line, and with exit code 1 if anything got through that should not have.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.gateway.proxy import LITELLM, gateway
from benchmarks.gateway.trials import TRIALS, Trial

#: Seconds that one trial may take.
PATIENCE = 60.0


async def run(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The figures of all trials, and the breaches."""
    figures: dict[str, Any] = {}
    breaches: list[str] = []
    began = time.monotonic()
    async with gateway(folder) as running:
        figures["start_s"] = round(time.monotonic() - began, 1)
        for trial in TRIALS:
            try:
                async with asyncio.timeout(PATIENCE):
                    result = await trial(running, folder)
            except TimeoutError:
                result = Trial({}, ["it came to no end"])
            figures[trial.__name__] = result.figures
            breaches += [f"{trial.__name__}: {breach}" for breach in result.breaches]
    figures["seconds"] = round(time.monotonic() - began, 1)
    return {**figures, "breaches": len(breaches)}, breaches


def main() -> None:
    if not LITELLM.exists():
        raise SystemExit("the proxy is not installed: make gateway")
    with tempfile.TemporaryDirectory(prefix="mesh-gateway-") as folder:
        figures, breaches = asyncio.run(run(Path(folder)))
        if breaches:
            print((Path(folder) / "proxy.log").read_text()[-4000:], *breaches, sep="\n", file=sys.stderr)
    print(json.dumps(figures), flush=True)
    raise SystemExit(1 if breaches else 0)


if __name__ == "__main__":
    main()
