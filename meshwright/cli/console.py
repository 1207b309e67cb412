"""How the command line speaks.

Rich text for people, one line of JSON for machines, one line with a way out for trouble.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

#: Exit codes, so that a script can tell what happened to a request. 2 is a wrong command line (the shell's
#: convention).
DONE, FAILED, USAGE, WAITS_FOR_PERSON, DEGRADED = 0, 1, 2, 3, 4

Json = Annotated[bool, typer.Option("--json", help="One line of JSON on standard output, for machines.")]


class Trouble(Exception):
    """Something expected went wrong. The text is one line: what it is, a colon, and what to do about it."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


class Missing(Trouble):
    """What was asked for is not there, or not under this name."""


class NotNow(Trouble):
    """Who answers is still starting, or has no room: a moment later it may do it."""


class NoSuchPage(Trouble):
    """Who answers has no such page: an agent and no orchestrator, or no mesh at all."""


@contextmanager
def settings_in_words() -> Iterator[None]:
    """Turn what a process would say about its settings, or a shop about its file, into a Trouble."""
    from meshwright.settings import SettingsError

    try:
        yield
    except SettingsError as error:
        raise Trouble(str(error)) from None


def out() -> Console:
    """Where answers go. Wide when nobody looks, so that `meshwright agents | grep` sees whole lines."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else 160)


def err() -> Console:
    """Where progress and trouble go, so that standard output holds answers only."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 160)


def emit(document: Any) -> None:
    """One line of JSON on standard output; with escapes where that has not all of its characters."""
    line = json.dumps(document, ensure_ascii=False, default=str)
    try:
        line.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        line = json.dumps(document, default=str)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def plain(text: Any) -> str:
    """Text from outside, fit for a terminal.

    No control characters, so that a reply cannot repaint the screen.
    """
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in str(text))
