"""What counts as evidence: a tool that was really called, a citation that was really looked up, words that the customer wrote.

The calls are those that the agent's runtime wrote down (`usage.tools`), not those that its model speaks of. What a tool said is
not held against the quote here: facts are looked up again by the gate. Words are compared as words, because whoever reads a
message may put `I` where it said `you`, and may leave out a `please`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from itertools import pairwise

from meshwright.findings import Evidence

#: How much each kind of source weighs; anything else weighs nothing, and is none.
WEIGHT = {"tool": 3, "handbook": 2, "ticket": 1}
#: The part of a quote's neighbouring words that must be neighbours in the customer's text too.
ENOUGH = 0.75
#: Words that change, or come and go, when a message is told again; shorter ones do not count at all.
_LOOSE = {"want", "would", "like", "please", "could", "have", "your", "yours", "mine", "myself", "yourself"}


class Words:
    """A text, ready to be asked whether something stands in it."""

    def __init__(self, text: str) -> None:
        said = _words(text)
        self._all = set(said)
        self._pairs = set(pairwise(said))

    def hold(self, quote: str) -> bool:
        """Whether the quote is from this text: every number and name with a digit, and most neighbouring words."""
        quoted = _words(quote)
        if not quoted or any(word not in self._all for word in quoted if not word.isalpha()):
            return False
        if len(quoted) == 1:
            return quoted[0] in self._all
        pairs = list(pairwise(quoted))
        return sum(pair in self._pairs for pair in pairs) >= ENOUGH * len(pairs)


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).casefold()
    words = re.findall(r"[^\W_]+", plain)
    return [w for w in words if w not in _LOOSE and (len(w) > 3 or not (w.isascii() and w.isalpha()))]


def standing(evidence: Sequence[Evidence], tools: Collection[str], words: Words) -> list[Evidence]:
    """Those pieces that hold. `tools` are the calls of whoever offers them, as `server.tool`; `words` is what the customer wrote."""
    servers = {tool.partition(".")[0] for tool in tools}
    held = []
    for piece in evidence:
        kind, _, name = piece.source.partition(":")
        real = (
            name in tools
            if kind == "tool"
            else bool(name) and "handbook" in servers
            if kind == "handbook"
            else piece.source == "ticket" and words.hold(piece.quote)
        )
        if real and piece.quote.strip():
            held.append(piece)
    return held


def weight(evidence: Sequence[Evidence]) -> int:
    """The weight of the best piece, of evidence that holds; 0 without any."""
    return max((WEIGHT.get(piece.source.partition(":")[0], 0) for piece in evidence), default=0)
