"""What a person says about one review, and whether they may: the rules of the queue, apart from its rows."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from meshwright.errors import AlreadyDecided, Claimed, Forbidden, InvalidRequest, Outdated
from meshwright.extension import canonical
from meshwright.reviews.visible import skeleton

Decision = Literal["approve", "edit", "reject"]
DECISIONS = ("approve", "edit", "reject")
#: How a review can stand: what decided it, or `open`.
STATES = ("open", *DECISIONS, "expired", "withdrawn")
#: Characters of a reason; bytes and levels of the arguments that an edit puts in the place of others.
MAX_REASON, MAX_ARGUMENTS, MAX_DEPTH = 2_000, 16_384, 8

_DONE = {"approve": "approved", "reject": "rejected", "edit": "edited"}


@dataclass(frozen=True, slots=True)
class Word:
    """One decision. `hash` and `version` are those of what the person saw; a decision about anything else does not count."""

    decision: Decision
    reason: str = ""
    hash: str = ""
    version: int | None = None
    arguments: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, document: Any) -> Word:
        """From JSON that was parsed strictly. Raises InvalidRequest, which says what is off."""
        if not isinstance(document, dict) or document.get("decision") not in DECISIONS:
            raise InvalidRequest('send {"decision": "approve"}, "reject" or "edit", and a "reason"')
        decision: Decision = document["decision"]
        reason, seen, version = (document.get(name) for name in ("reason", "hash", "version"))
        if not isinstance(reason, str | None) or not isinstance(seen, str | None):
            raise InvalidRequest('"reason" and "hash" must be text')
        if not isinstance(version, int | None) or isinstance(version, bool):
            raise InvalidRequest('"version" must be a whole number')
        reason = (reason or "").replace("\0", "\ufffd").strip()[:MAX_REASON]
        if decision != "approve" and not reason:
            raise InvalidRequest(f"{decision} needs a reason: it goes into the record")
        arguments = document.get("arguments")
        if (decision == "edit") != (arguments is not None):
            raise InvalidRequest('"arguments" go with edit, and only with edit')
        return cls(
            decision, reason, seen or "", version, None if arguments is None else _arguments(arguments)
        )


def effect(action: str, arguments: Mapping[str, Any]) -> str:
    """What a decision is about: the SHA-256, in hex, of the action and its arguments in their canonical form."""
    return hashlib.sha256(canonical([action, dict(arguments)]).encode(errors="surrogatepass")).hexdigest()


def must_be_free(by: str, review: Mapping[str, Any], now: float) -> None:
    """Whether a review still waits, and for `by` as well as for anybody. Raises AlreadyDecided, Claimed."""
    if review["state"] != "open":
        raise AlreadyDecided(ended(review))
    if review["expires"] is not None and review["expires"] <= now:
        raise AlreadyDecided("nobody decided this review in time; what it is about will not be done")
    holder, left = review["claimed_by"], (review["claimed_until"] or now) - now
    if holder and left > 0 and skeleton(holder) != skeleton(by):
        raise Claimed(f"{holder} has claimed this review, for another {math.ceil(left / 60)} min")


def must_be_allowed(
    word: Word, by: str, review: Mapping[str, Any], owner: str, approved: Collection[str], now: float
) -> None:
    """Whether `by` may say this of a review as it stands `now`, for a run of `owner`, after those who `approved` it.

    Raises AlreadyDecided, Outdated, Claimed, Forbidden, InvalidRequest.
    """
    must_be_free(by, review, now)
    if word.decision != "reject" and effect(review["action"], review["arguments"]) != review["hash"]:
        raise Outdated(
            "what stands here is not what was put before people: reject it, and find out who changed it"
        )
    if (word.hash and word.hash != review["hash"]) or word.version not in (None, review["version"]):
        raise Outdated("what you decided about is not what stands there now: look at the review again")
    if word.decision == "approve":
        me = skeleton(by)
        if me in (skeleton(review["proposed_by"]), skeleton(owner)):
            raise Forbidden("nobody approves what they proposed themselves: another person has to")
        if me in map(skeleton, approved):
            raise AlreadyDecided(
                f"you have approved this already; it needs {review['needed']} people, so another one has to"
            )
    if word.arguments is not None and effect(review["action"], word.arguments) == review["hash"]:
        raise InvalidRequest("these are the arguments that stand there already: approve or reject them")


def ended(review: Mapping[str, Any]) -> str:
    """How a review came to its end, in words."""
    if review["state"] in _DONE:
        return f"{review['decided_by']} already decided this review: it is {_DONE[review['state']]}"
    if review["state"] == "expired":
        return "nobody decided this review in time; what it is about will not be done"
    return f"this review was withdrawn: {review['reason']}"


def _arguments(value: Any) -> dict[str, Any]:
    """Arguments that mean one thing. Raises InvalidRequest."""
    if not isinstance(value, dict):
        raise InvalidRequest(
            '"arguments" must be an object, with all the arguments that the action is to have'
        )
    if _depth(value) > MAX_DEPTH:
        raise InvalidRequest(f"the arguments are nested deeper than {MAX_DEPTH} levels")
    try:
        size = len(canonical(value).encode())
    except ValueError:  # 1e999 is JSON, and infinite; half a surrogate pair is none
        raise InvalidRequest("the arguments hold a number or a text that JSON cannot carry") from None
    if size > MAX_ARGUMENTS:
        raise InvalidRequest(f"the arguments have {size} bytes; at most {MAX_ARGUMENTS} are taken")
    return value


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)
