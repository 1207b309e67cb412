"""What the signed chain of agents costs: CPU to sign a link, and to check a chain, in microseconds.

    python -m benchmarks.ancestry

`check new` is a chain of which no link was seen before; `check known` one whose links above the last were, as in all further calls
of a run: the last link is new with each call. Ends with one JSON line.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import time
from collections.abc import Callable

from meshwright.inbound.ancestry import Ancestry, handed_on
from meshwright.inbound.identity import Trust
from meshwright.testing import Keyring

ROUNDS = 300
LENGTHS = (1, 3, 8)


def main() -> None:
    names = [f"agent{number}" for number in range(max(LENGTHS) + 1)]
    ring = Keyring(*names)
    identities = {name: ring.identity(name) for name in names}

    numbers = itertools.count()

    def link(
        above: str, agent: str, to: str
    ) -> str:  # another task each time: the same twice is the same signature
        return handed_on(above, identities[agent], to, task=f"{next(numbers):032}", run="r" * 12)

    line: dict[str, object] = {"sign_us": _micros(lambda: link("", names[0], names[1]))}
    for length in LENGTHS:
        above = ""
        for agent, to in itertools.pairwise(names[:length]):
            above = link(above, agent, to)
        trust = Trust.from_document(names[length], ring.document)
        sent = iter([link(above, names[length - 1], names[length]) for _ in range(2 * ROUNDS + 1)])
        caller, known = names[length - 1], Ancestry(trust, max(LENGTHS))
        known.check(next(sent), caller)
        line[f"check_known_us_{length}"] = _micros(lambda: known.check(next(sent), caller))  # noqa: B023
        # each with a trust of its own, which remembers signatures too
        trusts = [Trust.from_document(names[length], ring.document) for _ in range(ROUNDS)]
        fresh = iter([Ancestry(each, max(LENGTHS)) for each in trusts])
        line[f"check_new_us_{length}"] = _micros(lambda: next(fresh).check(next(sent), caller))  # noqa: B023
        line[f"bytes_{length}"] = len(link(above, caller, names[length]))
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(json.dumps({**line, "machine": machine}))


def _micros(work: Callable[[], object]) -> int:
    began = time.process_time()
    for _ in range(ROUNDS):
        work()
    return round((time.process_time() - began) / ROUNDS * 1e6)


if __name__ == "__main__":
    main()
