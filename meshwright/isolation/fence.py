"""What a worker cannot do, whatever its playbook tries: the kernel's limits, set by a process on itself.

A worker has memory, CPU and files up to a limit, and it cannot make another process: a seccomp filter refuses fork, so one kill
ends all there is (seccomp(2), `Documentation/userspace-api/seccomp_filter.rst`). Threads it can make. This is a fence against
accidents, not a prison: a worker runs as the same user and sees the same files as its server.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import signal
import struct
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

#: What is the server's own in its environment, by the beginning of the name. The rest is the author's.
PRIVATE = ("MESHWRIGHT_", "OTEL_", "PG")
#: Bytes of a file that a worker writes, and the files it may have open.
FILE_BYTES, FILES = 64 * 1024 * 1024, 256
#: Workers wait for the CPU rather than their server does: a third of its share where there is too little (nice 5). Where the kernel
#: shares the CPU among sessions (sched(7), autogroup) each worker, having one of its own, has the same as the server.
NICE = 5

_MIB = 1024 * 1024
_PR_SET_PDEATHSIG, _PR_GET_SECCOMP, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 21, 22, 38
_FILTER_MODE = 2
_CLONE_THREAD = 0x10000
#: By machine: AUDIT_ARCH, and the numbers of fork, vfork (arm64 has neither), clone, clone3, kill.
_CALLS = {
    "x86_64": (0xC000003E, (57, 58), 56, 435, 62),
    "aarch64": (0xC00000B7, (), 220, 435, 129),
}
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE, _UNKNOWN = 0x7FFF0000, 0x00050001, 0x00050026  # errno EPERM; errno ENOSYS


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one invocation: MiB beyond what the agent has loaded, seconds of CPU, and seconds between its deadline and its end."""

    memory: int
    cpu: int
    grace: float


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def obstacle(system: str = sys.platform, machine: str = platform.machine()) -> str | None:
    """Why workers cannot be fenced in here; None where they can."""
    if system != "linux" or machine not in _CALLS:
        return f'isolation "process" needs Linux on {" or ".join(_CALLS)}, and this is {system} on {machine}'
    try:
        os.close(os.pidfd_open(os.getpid()))
        _prctl(_PR_GET_SECCOMP)
    except OSError as error:
        return f'isolation "process" needs a kernel (5.3 or newer) and a container with seccomp and pidfd_open: {error}'
    return None


def forget_secrets() -> None:
    """Leave the server's settings out of this process: its environment, and the kernel's record of it."""
    for name in [name for name in os.environ if name.startswith(PRIVATE)]:
        del os.environ[name]
    for name, value in os.environ.items():
        os.putenv(name, value)  # a copy of its own, because the block that it came in is wiped
    _, _, begin, end = _initial_memory()
    ctypes.memset(begin, 0, end - begin)


def entitle(title: str) -> None:
    """What `ps` shows in place of the server's command line."""
    begin, end, _, _ = _initial_memory()
    ctypes.memset(begin, 0, end - begin)
    ctypes.memmove(begin, title.encode(), min(len(title.encode()), end - begin - 1))


@cache
def _initial_memory() -> tuple[int, ...]:
    """Where the kernel put the arguments and the environment: begin and end of each (proc_pid_stat(5), fields 48 to 51)."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return tuple(map(int, fields[45:49]))


def close_all_but(*kept: int) -> None:
    """Close every file but these and the outputs; the input is empty."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in (0, 1, 2, *kept):
            with contextlib.suppress(OSError):  # the one that was open for the list itself
                os.close(int(name))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    if nothing:
        os.close(nothing)


def tie_to(parent: int) -> None:
    """Die with the process `parent`, however it dies; at once if it has."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def close_gates(limits: Limits) -> None:
    """Limit this process, for good. Raises OSError where the kernel refuses."""
    import resource  # not everywhere, as the rest of this room

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_DFL)
    os.setsid()  # what it says to its process group it says to itself
    os.nice(NICE)
    with contextlib.suppress(OSError):  # where memory is short, it is a worker that goes
        Path("/proc/self/oom_score_adj").write_text("1000")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory = pages * resource.getpagesize() + limits.memory * _MIB
    for what, soft, hard in (
        (resource.RLIMIT_AS, memory, memory),
        (resource.RLIMIT_CPU, limits.cpu, limits.cpu + 1),
        (resource.RLIMIT_FSIZE, FILE_BYTES, FILE_BYTES),
        (resource.RLIMIT_NOFILE, FILES, FILES),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        _, most = resource.getrlimit(what)
        known = [hard] if most == resource.RLIM_INFINITY else [hard, most]
        resource.setrlimit(what, (min(soft, *known), min(known)))
    _filter_calls()


def _filter_calls() -> None:
    """No new process, and no signal to anybody else. clone3 "does not exist": the C library then asks with clone."""
    arch, forks, clone, clone3, kill = _CALLS[platform.machine()]
    steps: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, 4),  # the architecture: numbers of another mean something else
        (_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _REFUSE),
        (_LOAD, 0, 0, 0),  # the number of the call
        (_AT_LEAST, 0, 1, 0x40000000),  # x32 on x86-64
        (_RETURN, 0, 0, _REFUSE),
    ]
    for number, answer in (*((number, _REFUSE) for number in forks), (clone3, _UNKNOWN)):
        steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, answer)]
    steps += [
        (_EQUAL, 0, 4, clone),
        (_LOAD, 0, 0, 16),  # the lower half of the first argument
        (_ANY_BIT, 0, 1, _CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
        (_EQUAL, 0, 4, kill),
        (_LOAD, 0, 0, 16),
        (_EQUAL, 0, 1, os.getpid()),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    program = ctypes.create_string_buffer(code, len(code))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_SECCOMP, _FILTER_MODE, ctypes.byref(_Program(len(steps), ctypes.addressof(program))))


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, *arguments: object) -> None:
    libc = _libc()
    words = [ctypes.c_ulong(word) if isinstance(word, int) else word for word in arguments]
    if libc.prctl(option, *words, *[ctypes.c_ulong(0)] * (4 - len(words))) < 0:
        raise OSError(ctypes.get_errno(), f"prctl {option} is refused")
