"""Where checkpoints are kept outside the database: a file that is only appended to, and what goes to standard output.

Beside the file of notes lies one with the hashes of the entries, 32 bytes each. Nobody has to believe it: its root is what the notes sign.
It tells which entry is another now, where a root alone only tells that one is.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from meshwright.audit.merkle import Tree
from meshwright.audit.note import NOTE, Checkpoint, NoteError, Torn, Verifier, opened

SIZE = 32
#: The `event` of a line on standard output.
EVENT = "audit.checkpoint"


@dataclass(frozen=True, slots=True)
class Kept:
    """What an anchor holds: what verifies, smallest tree first; what does not, and why; how many were cut off by a crash."""

    checkpoints: tuple[Checkpoint, ...] = ()
    notes: dict[int, str] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()
    torn: int = 0


class Anchor:
    """One file of notes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.leaves = path.with_name(f"{path.name}.hashes")

    def add(self, note: str, start: int, leaves: Sequence[bytes]) -> None:
        """Append a note, and before it the hashes of the entries after the `start`th. On the disk when it returns. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(self.leaves, os.O_WRONLY | os.O_CREAT, 0o644), "wb") as file:
            file.seek(start * SIZE)
            file.write(b"".join(leaves))
            file.flush()
            os.fsync(file.fileno())
        with open(self.path, "ab+") as file:
            # What a crash has cut off is left as it is; the note begins on a line of its own.
            begins = b""
            if file.tell() > 1:
                file.seek(-2, os.SEEK_END)
                begins = b"" if file.read() == b"\n\n" else b"\n\n"
            file.write(begins + note.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self, keys: Sequence[Verifier]) -> Kept:
        """What is in it, by whom these keys know. Raises FileNotFoundError."""
        good: dict[tuple[int, bytes], Checkpoint] = {}
        notes: dict[int, str] = {}
        wrong: list[str] = []
        found, torn = _notes(self.path.read_text("utf-8", "replace"))
        for number, note in enumerate(found, 1):
            try:
                checkpoint = opened(note, keys)
            except Torn:
                torn += 1
            except NoteError as error:
                wrong.append(f"note {number} of {self.path.name} is not to be believed: {error}")
            else:
                good[checkpoint.size, checkpoint.root] = checkpoint
                notes[checkpoint.size] = note
        return Kept(tuple(good[each] for each in sorted(good)), notes, tuple(wrong), torn)

    def hashes(self, checkpoint: Checkpoint) -> list[bytes]:
        """The hashes of the entries that a checkpoint is about; empty if they are not here or not what was signed."""
        with suppress(FileNotFoundError), open(self.leaves, "rb") as file:
            content = file.read(checkpoint.size * SIZE)
            found = [content[at : at + SIZE] for at in range(0, len(content) - SIZE + 1, SIZE)]
            tree = Tree()
            for leaf in found:
                tree.add(leaf)
            if tree.size == checkpoint.size and tree.root == checkpoint.root:
                return found
        return []


def line_of(note: str, size: int) -> str:
    """A checkpoint as one line for standard output, and whoever collects that."""
    return json.dumps({"event": EVENT, "size": size, "note": note}, ensure_ascii=False)


def _notes(text: str) -> tuple[list[str], int]:
    """The notes in a file of them, or in the collected output of a process, or both; and how many pieces of notes are left over."""
    lines = [line for line in text.splitlines() if f'"event": "{EVENT}"' in line]
    found: list[str] = []
    for line in lines:
        with suppress(ValueError, KeyError, TypeError):
            found.append(str(json.loads(line[line.index("{") :])["note"]))
    plain = [match[0] for match in NOTE.finditer(text)]
    # what else a process says is no piece of a note
    left = len(lines) - len(found) if lines else len(re.findall(r"(?:.+\n?)+", NOTE.sub("\n", text)))
    return [*plain, *found], left
