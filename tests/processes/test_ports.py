"""Meshes that are started at the same time do not get in one another's way."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys

import pytest

from meshwright.testing.processes import BLOCK, HOST, free_base

LOOKS = "import sys; from meshwright.testing.processes import free_base; print(free_base(int(sys.argv[1])), flush=True); input()"


def test_those_who_look_at_the_same_time_never_find_the_same_ports() -> None:
    wanted = [60, 20, 2, 20, 60, 2]
    looking = [
        subprocess.Popen(
            [sys.executable, "-c", LOOKS, str(ports)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for ports in wanted
    ]
    try:
        bases = [int(one.stdout.readline()) for one in looking if one.stdout is not None]
    finally:
        for one in looking:
            one.communicate("\n", timeout=30)
    found = [port for base, ports in zip(bases, wanted, strict=True) for port in range(base, base + ports)]
    assert len(bases) == len(wanted)
    assert len(set(found)) == len(found)
    assert all(port < 32_768 for port in found), "else a connection that leaves may have it first"


def test_ports_that_somebody_else_has_are_passed_over() -> None:
    first = free_base(1)
    with socket.socket() as stranger:
        with contextlib.suppress(OSError):  # then it is somebody else's as well
            stranger.bind((HOST, first + BLOCK + 5))
        second = free_base(20)
    assert second not in (first, first + BLOCK)


def test_more_than_there_are_in_a_row_are_not_promised() -> None:
    with pytest.raises(ValueError, match="at most 63"):
        free_base(BLOCK)
