"""How a mesh coming up looks.

A table that moves on a terminal, plain lines in a log, nothing for machines.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from meshwright.cli.console import err, plain
from meshwright.cli.supervisor import State
from meshwright.cli.topology import Mesh

if TYPE_CHECKING:
    from rich.table import Table

MARKS: dict[State, tuple[str, str]] = {
    "waits": ("dim", "·"),
    "starts": ("yellow", "◌"),
    "ready": ("green", "●"),
    "died": ("red", "✗"),
    "stopped": ("dim", "○"),
}


class Display(Protocol):
    """Shows what becomes of the processes while it is open.

    Afterwards it still tells of deaths and restarts.
    """

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def told(self, name: str, state: State, note: str) -> None: ...


def display(mesh: Mesh, base: int, *, quiet: bool = False) -> Display:
    """The display that fits where standard error goes."""
    if quiet:
        return Silence()
    return Moving(mesh, base) if sys.stderr.isatty() else Lines()


class Silence:
    """For `--json`: whoever reads the one line wants no others."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def told(self, name: str, state: State, note: str) -> None:
        return None


class Lines(Silence):
    """One line per change that matters, for logs and pipes."""

    def __init__(self) -> None:
        self._console = err()

    def told(self, name: str, state: State, note: str) -> None:
        if state in ("ready", "died"):
            self._console.print(f"{name:<14} {state:<7} {plain(note)}", markup=False, soft_wrap=True)


class Moving(Lines):
    """A table of all processes that changes in place; deaths scroll by above it."""

    def __init__(self, mesh: Mesh, base: int) -> None:
        from rich.live import Live

        super().__init__()
        self._urls = mesh.urls(base)
        self._kinds = {process.name: process.kind for process in mesh.processes}
        self._states: dict[str, tuple[State, str]] = dict.fromkeys(self._urls, ("waits", ""))
        self._live = Live(
            console=self._console, get_renderable=self._table, refresh_per_second=8, transient=True
        )
        self._open = False

    def __enter__(self) -> Self:
        self._live.start()
        self._open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        self._live.stop()

    def told(self, name: str, state: State, note: str) -> None:
        first, _, _ = note.partition("\n")
        self._states[name] = (state, first)
        if state == "died" or (state == "ready" and not self._open):
            super().told(name, state, note)

    def _table(self) -> Table:
        from rich.table import Table

        ready = sum(state == "ready" for state, _ in self._states.values())
        table = Table.grid(padding=(0, 2))
        table.add_row("", f"[bold]starting the mesh[/] [dim]{ready} of {len(self._states)} ready[/]")
        for name, (state, note) in self._states.items():
            style, mark = MARKS[state]
            table.add_row(
                f"[{style}]{mark}[/]", name, f"[dim]{self._kinds[name]}[/]", f"[dim]{self._urls[name]}[/]",
                f"[{style}]{state}[/]", f"[dim]{note}[/]" if state == "ready" else "",
            )  # fmt: skip
        return table
