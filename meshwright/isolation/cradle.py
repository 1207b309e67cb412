"""Where a nursery is forked: before a server has anything open, and before anybody knows whether its agent wants one.

The agent is not loaded yet, in the server as in the nursery. When the server has loaded it, and it wants workers, the nursery
loads it too; when it does not, the nursery goes.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from meshwright.isolation import fence
from meshwright.settings import SettingsError

if TYPE_CHECKING:
    from meshwright.agent import Agent
    from meshwright.settings import Settings

#: What the server says when workers are wanted, and the nursery when it has loaded the agent; else it says why it cannot.
LOAD, LOADED = b"load", b"loaded"
#: Bytes of that reason.
MOST = 2_000


class Cradle:
    """A nursery that waits to hear whether it is needed. Make it while this process is one thread with nothing open.

    `load` gives the agent, in the nursery.
    """

    def __init__(self, name: str, load: Callable[[], Agent], settings: Settings) -> None:
        self._settings = settings
        self._limits = fence.Limits(settings.worker_memory, settings.worker_cpu, settings.kill_grace)
        self._line: socket.socket | None = None
        if fence.obstacle() is None:
            self._line = _fork(name, load, self._limits)

    def isolated(self, agent: Agent) -> Agent:
        """`agent`, or the same with a playbook that runs in workers. Raises SettingsError where they cannot be had."""
        if (self._settings.isolation or agent.isolation) == "task":
            if self._line is not None:
                self._line.close()
            return agent
        if self._line is None:
            raise SettingsError(
                f"{fence.obstacle()}: set MESHWRIGHT_ISOLATION=task, and mind docs/isolation.md"
            )
        from meshwright.isolation.ward import Ward
        from meshwright.isolation.workers import Workers

        self._line.send(LOAD)
        said = self._line.recv(MOST)
        if said != LOADED:
            raise SettingsError(
                f'{agent.name}: isolation "process" forks, and {said.decode() or "that failed"}'
            )
        return replace(agent, playbook=Ward(agent, self._limits, Workers(self._line)), isolation="process")


def must_be_isolated(agent: Agent, settings: Settings) -> None:
    """Raises SettingsError for an agent that wants workers and was not made for it: it would run among the others."""
    if (settings.isolation or agent.isolation) == "task":
        return
    from meshwright.isolation.ward import Ward

    if not isinstance(agent.playbook, Ward):
        raise SettingsError(
            f'{agent.name}: isolation "process" needs meshwright.serve, which forks before anything is open'
        )


def _fork(name: str, load: Callable[[], Agent], limits: fence.Limits) -> socket.socket:
    """Fork the nursery; the server's end of the line to it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork():
        theirs.close()
        return ours
    try:
        os.setsid()  # Ctrl-C is for the server
        fence.forget_secrets()
        fence.entitle(f"meshwright nursery of {name}")
        fence.close_all_but(theirs.fileno())
        _nurse(name, load, limits, theirs)
        os._exit(0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        raise
    finally:
        os._exit(1)


def _nurse(name: str, load: Callable[[], Agent], limits: fence.Limits, line: socket.socket) -> None:
    """The life of a nursery, once it is known that it is needed."""
    if line.recv(len(LOAD)) != LOAD:
        return
    from meshwright.isolation.nursery import Nursery
    from meshwright.isolation.workplace import work

    agent, nursery = load(), os.getpid()
    if threading.active_count() > 1:
        names = ", ".join(t.name for t in threading.enumerate() if t is not threading.main_thread())
        why = f"its module has started threads: {names}; start them in the playbook, or set MESHWRIGHT_ISOLATION=task"
        line.send(why.encode()[:MOST])
        return

    def raised(pipe: socket.socket) -> NoReturn:
        fence.tie_to(nursery)
        fence.close_all_but(pipe.fileno())
        fence.entitle(f"meshwright worker of {name}")
        fence.close_gates(limits)
        os._exit(work(agent, pipe))

    line.send(LOADED)
    Nursery(line, raised).tend()
