"""What a clause asks to be told. A question is answered by reading and never changes anything.

A clause that hangs an action on the answer (`if there are, add one`) is no question and stays unread.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_WH = r"(?:how|what|which|where|when|why|who|whether|about|for the|the(?! agent))\b"
_ASKS = re.compile(
    r"^(?:you (?:also |would )?(?:also )?(?:want|wish|need|like) to (?:also )?"
    r"(?:know|find out|be told|understand|ask|check (?=how|what|which|where|the (?:status|tracking|price))"
    r"|(?:get|see) (?=the (?:tracking|status|price|total)))"
    rf"|(?:you )?ask(?: the agent| them)? (?={_WH}|to (?:tell|count|give|confirm|explain|let))"
    rf"|(?:please )?(?:tell|let) you (?:know )?(?={_WH}))",
    re.IGNORECASE,
)
#: A question as such: it ends with its mark.
_OPEN = re.compile(r"^(?:what|how|which|where|when|why|is|are|do|does)\b.*\?$", re.IGNORECASE)
#: An action in it, or a condition: then it is more than a question, and not read as one.
_ACTS = re.compile(
    r"\b(?:if|unless|otherwise|then|instead|only|but|except|prefer|choose|take|keep|want"
    r"|cancel|exchange|add|remove|modify|change|replace|reorder|correct|update|fix|swap|switch"
    r"|adjust|buy|order it)\b"
    r"|\b(?:return|refund) (?:it|them|that|those|the|your|a|one|all|any)\b|[,;] (?:and|to)\b",
    re.IGNORECASE,
)
_COUNT = re.compile(
    r"\bhow many (?:different )?(?P<product>[\w -]+?)(?: options?| variants?| types?| kinds?| "
    r"versions?)?(?: are| is| do you)\b",
    re.I,
)
_PRICE = re.compile(
    r"\b(?:price|cost)s? of (?:the |an? |your )?(?P<product>[\w -]+?)(?: you (?:bought|ordered))?(?: and "
    r".*)?$",
    re.I,
)
_TRACK = re.compile(r"\b(?:tracking|where is|where are|status|when will)\b", re.I)
_MONEY_BACK = re.compile(
    r"\bhow much (?:money )?(?:in total )?(?:you )?(?:will |would |can |could |do )?(?:you )?(?:get|save"
    r"|be refunded|receive|have to pay|need to pay|owe)\b"
    r"|\b(?:total )?(?:refund amount|amount (?:of the refund|you (?:will )?get))|\bprice difference"
    r"|\btotal (?:amount of )?refund",
    re.I,
)
_BALANCE = re.compile(r"\bgift card balance\b|\bbalance (?:of|on) your gift card\b", re.I)
_PAID = re.compile(r"\bhow much (?:did )?you (?:have )?paid\b|\btotal\b", re.I)
_AGAIN = re.compile(
    r"^ask(?: the agent)? to count them(?: and (?:give|tell) you the number)?$|^give you the number$", re.I
)


@dataclass(frozen=True)
class Question:
    """`about` is `count`, `price`, `tracking`, `total`, `balance`, `outcome` (answered by what is done) or
    `policy`.
    """

    about: str
    words: str
    product: str = ""


def read(clause: str) -> Question | None:
    """The question in the clause, or None when it is none."""
    if _AGAIN.match(clause):
        return Question("outcome", clause)
    lead = _ASKS.match(clause) or _OPEN.match(clause)
    if not lead or _ACTS.search(clause[lead.end() :] if lead.re is _ASKS else clause):
        return None
    if found := _COUNT.search(clause):
        return Question("count", clause, found.group("product").strip())
    if _MONEY_BACK.search(clause):
        return Question("outcome", clause)
    if _TRACK.search(clause):
        return Question("tracking", clause)
    if _BALANCE.search(clause):
        return Question("balance", clause)
    if found := _PRICE.search(clause):
        return Question("price", clause, found.group("product").strip())
    if _PAID.search(clause):
        return Question("total", clause)
    return Question("policy", clause)
