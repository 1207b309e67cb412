"""Ties a child to its parent: when the parent dies, however it dies, the kernel ends the child.

Linux knows how; elsewhere it does nothing. Run by its path as `python -I -S leash.py PARENT COMMAND...`: it
imports nothing of the mesh and costs 20 ms.
An exec, not a `preexec_fn`, because running Python between fork and exec is not safe in a parent that has
threads.
"""

from __future__ import annotations

import os
import sys

PR_SET_PDEATHSIG, SIGKILL = 1, 9


def main(argv: list[str]) -> None:
    """Become the command, with the kernel told to end it when process `argv[0]` is gone."""
    parent, command = int(argv[0]), argv[1:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel knew of the wish
            sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
