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
    rf"|(?:you want to |please )?(?:tell|let) you (?:know )?(?={_WH}))",
    re.IGNORECASE,
)
#: A question as such: it ends with its mark, or begins as only a question does.
_OPEN = re.compile(
    r"^(?:(?:what|how|which|where|when|why|who|whose|is|are|am|was|do|does|did|can|could|may|will|would|should|has"
    r"|have|must)\b.*\?|(?:how (?:long|much|many|do|does|can|is|are|soon|often|would)|what (?:is|are|does|do|happens"
    r"|kinds?)|where (?:is|are|can|do|does)|when (?:will|is|are|can|do|does|did)|why (?:is|was|did|does|are)"
    r"|who (?:pays|is)|which (?:\w+ )?(?:is|are|do|can))\b[^?]*)$",
    re.IGNORECASE,
)
#: `check whether you could return the kettle, but don't process anything`: asked for, and not to be done.
_WHETHER = re.compile(
    r"^(?:you (?:also )?(?:want|would like) to )?(?:(?:also )?(?:check|ask|know|find out)(?: the agent)?(?: at the end)?)"
    r" (?:whether|if) you (?:are able to|can|could) (?:return|exchange|cancel) (?:the|your) [\w -]+?"
    r"(?P<denied>,? but (?:you are not sure yet so )?(?:do not|don't) (?:process|do) (?:anything|it)(?: yet)?)$",
    re.IGNORECASE,
)
#: An action in it, or a condition: then it is more than a question, and not read as one.
_ACTS = re.compile(
    r"\b(?:if|unless|otherwise|then|instead|only|but|except|prefer|choose|take|keep|want"
    r"|cancel|exchange|add|remove|modify|change|replace|reorder|correct|update|fix|swap|switch"
    r"|adjust|buy|order it|mind|undo|stop|hold|still|leave|should|shall|idea|joke|wise|worth|agree\w*|sure|decid\w*)\b"
    r"|\b(?:return|refund) (?:it|them|that|those|the|your|a|one|all|any)\b|[,;] (?:and|to)\b",
    re.IGNORECASE,
)
#: `how long will it take`: no action.
_DURATION = re.compile(
    r"\bhow long (?:will|would|does|do|is|can|should) [\w' ]*?\btak(?:e|ing)\b", re.IGNORECASE
)
#: What even an open question may not hold: an instruction hung on to it.
_HUNG_ON = re.compile(
    r"[,;:-] ?(?:and|then|please|if|otherwise|but|because|so)\b|\b(?:unless|otherwise|instead|please)\b"
    r"|\band (?:then |also )?(?:cancel|return|exchange|change|modify|refund|keep|send|replace)\b",
    re.IGNORECASE,
)
_COUNT = re.compile(
    r"\bhow many (?:different )?(?P<product>[\w -]+?)(?: options?| variants?| types?| kinds?| "
    r"versions?)?(?: are| is| do you)\b",
    re.I,
)
_PRICE = re.compile(
    r"\b(?:(?:price|cost)s? of|how much (?:is|are|does|do)) (?:the |an? |your )?(?P<product>[\w -]+?)(?: cost)?(?: you (?:bought|ordered))?(?: and "
    r".*)?$",
    re.I,
)
_TRACK = re.compile(
    r"\btracking\b|\b(?:where|when|status|shipped|arriv\w+|deliver\w*)\b.*\b(?:orders?|packages?|parcels?|deliver\w+"
    r"|#W\d+|W\d{4,})\b|\b(?:orders?|packages?|parcels?)\b.*\b(?:shipped|arriv\w+|sent|status)\b",
    re.IGNORECASE,
)
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
    `policy`. `acts`: it speaks of an action, so beside a request it might be a change of mind.
    """

    about: str
    words: str
    product: str = ""
    acts: bool = False


def read(clause: str) -> Question | None:
    """The question in the clause, or None when it is none."""
    if _AGAIN.match(clause):
        return Question("outcome", clause)
    if _WHETHER.match(clause):
        return Question("policy", clause)
    asks, opens = _ASKS.match(clause), _OPEN.match(clause)
    acts = bool(_ACTS.search(_DURATION.sub(" ", clause)))
    if asks and not _ACTS.search(_DURATION.sub(" ", clause[asks.end() :])):
        return _about(clause, acts=False)
    return _about(clause, acts) if opens and not _HUNG_ON.search(clause) else None


def _about(clause: str, acts: bool) -> Question:
    plain = clause.rstrip("? ")
    if found := _COUNT.search(plain):
        return Question("count", clause, found.group("product").strip(), acts)
    if _MONEY_BACK.search(plain):
        return Question("outcome", clause, acts=acts)
    if _TRACK.search(plain):
        return Question("tracking", clause, acts=acts)
    if _BALANCE.search(plain):
        return Question("balance", clause, acts=acts)
    if found := _PRICE.search(plain):
        return Question("price", clause, found.group("product").strip(), acts)
    if _PAID.search(plain):
        return Question("total", clause, acts=acts)
    return Question("policy", clause, acts=acts)
