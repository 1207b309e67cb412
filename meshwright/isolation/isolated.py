"""An agent as its settings want it: with its playbook in this process, or in workers that come from a nursery."""

from __future__ import annotations

import os
import socket
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from meshwright.settings import SettingsError

if TYPE_CHECKING:
    from meshwright.agent import Agent
    from meshwright.isolation.fence import Limits
    from meshwright.settings import Settings


def isolated(agent: Agent, settings: Settings) -> Agent:
    """`agent`, or the same with a playbook that runs in workers. Then this forks: call it before there are threads or a loop.

    Raises SettingsError where workers cannot be had.
    """
    if (settings.isolation or agent.isolation) == "task":
        return agent
    from meshwright.isolation.fence import Limits, require_a_kernel_that_can

    require_a_kernel_that_can()
    if threading.active_count() > 1:
        names = ", ".join(t.name for t in threading.enumerate() if t is not threading.main_thread())
        raise SettingsError(
            f'{agent.name}: isolation "process" forks, and its module has started threads: {names};'
            " start them in the playbook, or set MESHWRIGHT_ISOLATION=task"
        )
    from meshwright.isolation.ward import Ward
    from meshwright.isolation.workers import Workers

    limits = Limits(settings.worker_memory, settings.worker_cpu, settings.kill_grace)
    return replace(agent, playbook=Ward(agent, limits, Workers(_nursery(agent, limits))), isolation="process")


def must_be_isolated(agent: Agent, settings: Settings) -> None:
    """Raises SettingsError for an agent that wants workers and was not made for it: it would run among the others."""
    if (settings.isolation or agent.isolation) == "task":
        return
    from meshwright.isolation.ward import Ward

    if not isinstance(agent.playbook, Ward):
        raise SettingsError(
            f'{agent.name}: isolation "process" needs meshwright.serve.serve, which forks before anything is open'
        )


def _nursery(agent: Agent, limits: Limits) -> socket.socket:
    """Fork the nursery; the server's end of the line to it."""
    from meshwright.isolation import fence
    from meshwright.isolation.nursery import Nursery
    from meshwright.isolation.workplace import work

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork():
        theirs.close()
        return ours

    def raised(pipe: socket.socket) -> NoReturn:
        fence.tie_to(nursery)
        fence.close_all_but(pipe.fileno())
        fence.entitle(f"meshwright worker of {agent.name}")
        fence.close_gates(limits)
        os._exit(work(agent, pipe))

    try:
        nursery = os.getpid()
        os.setsid()  # Ctrl-C is for the server
        fence.forget_secrets()
        fence.entitle(f"meshwright nursery of {agent.name}")
        fence.close_all_but(theirs.fileno())
        Nursery(theirs, raised).tend()
        os._exit(0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        raise
    finally:
        os._exit(1)
