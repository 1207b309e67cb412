"""What a model server says it used, held against what can be true: nobody pays above a reservation, and nobody is believed for less than nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meshwright.budget import Amount, Price
from meshwright.errors import InvalidRequest
from meshwright.extension import canonical

#: What a chat template puts around a message, in tokens (a role and two or three markers).
PER_MESSAGE = 8
#: What a provider adds so that a model can use tools: 159 to 530 tokens by model, says
#: https://docs.anthropic.com/en/docs/tool-use-pricing-and-tokens
FOR_TOOLS = 1_000
#: A claim of fewer tokens than one for so many bytes is not believed. Measured on tickets and JSON: two to five bytes a token.
BYTES_PER_TOKEN = 10


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it goes out: the most tokens its prompt can have, and the fewest, of its messages alone."""

    prompt: int
    fewest: int


def sized(asked: Mapping[str, Any]) -> Asked:
    """The upper bound of a request's prompt: one token a byte of its canonical JSON, and what providers add.

    A byte-level tokenizer makes at most one token of a byte, and so does one that falls back to bytes; everything that
    is sent is in there: messages, tools, schema. Raises InvalidRequest for content that is not text: what an image costs
    does not show in its bytes.
    """
    messages: Sequence[Mapping[str, Any]] = asked["messages"]
    for message in messages:
        if not isinstance(message.get("content"), str | None):
            raise InvalidRequest("a message to a model must be text: what else costs cannot be bounded")
    size = len(canonical(asked).encode()) + PER_MESSAGE * (len(messages) + 1)
    return Asked(
        size + (FOR_TOOLS if asked.get("tools") else 0),
        fewest(message.get("content") or "" for message in messages),
    )


def fewest(texts: Iterable[str]) -> int:
    """A number of tokens that no claim about these texts can honestly be below.

    Tokenizers split at white space before they merge (the patterns of GPT-2 and all that followed it, SentencePiece by
    default), so each word is a token at least; long ones, and scripts without spaces, are counted by their bytes.
    """
    words = [text.split() for text in texts]
    return sum(max(len(w), -(-sum(len(word.encode()) for word in w) // BYTES_PER_TOKEN)) for w in words)


def judged(
    usage: Any, asked: Asked, room: int, answer: int, price: Price | None
) -> tuple[Amount | None, str]:
    """What to charge (None: all that was reserved), and what is doubted of the claim, if anything.

    `answer` is the fewest tokens that the answer can have. A claim above the bounds is charged at the bounds; one that is
    missing, or too small for the text that went both ways, is charged in full.
    """
    said = usage if isinstance(usage, Mapping) else {}
    read, written, total = (
        _count(said.get(k)) for k in ("prompt_tokens", "completion_tokens", "total_tokens")
    )
    if not read or written is None:
        return None, "it does not say what was used"
    if read < asked.fewest or written < answer:
        return None, f"it claims {read} + {written} tokens for {asked.fewest} + {answer} words and more"
    # Some count what a model thinks in the total alone, or in the details.
    written = max(written, (total or 0) - read, _thought(said))
    over = read > asked.prompt or written > room
    doubt = (
        f"it claims {read} + {written} tokens and was asked for {asked.prompt} + {room} at most"
        if over
        else ""
    )
    read, written = min(read, asked.prompt), min(written, room)
    return Amount(read + written, (price or Price(0, 0)).cost(read, written)), doubt


def _thought(said: Mapping[str, Any]) -> int:
    details = said.get("completion_tokens_details")
    return _count(details.get("reasoning_tokens")) or 0 if isinstance(details, Mapping) else 0


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
