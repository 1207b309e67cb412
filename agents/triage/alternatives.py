"""What is wanted when the first wish cannot be had: another value, the item as it is, its return, a person.

Whether it can be had is for the records to say, so each of these can be kept whatever the ticket. Only what is out of stock
sets one of them going: what cannot be done for another reason stays open.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from triage.phrases import PAYS
from triage.requests import Request

_NOT = r"(?:(?: is| are|'s|'re) not|(?: is|are)n't)"
_IT = r"(?:it|that|this|that one|the new one|the (?:exact )?item|the exchange|the change)"
_STOCKED = r"(?:available|in stock|possible)(?: any ?more| right now| at the moment)?"
_OUT = rf"(?:{_NOT} {_STOCKED}| (?:is|are) (?:unavailable|out of stock|sold out))"
_LACKING = (
    rf"if (?:(?:there is|there are|you (?:have|can find)) (?:no|not any|none) (?P<none>[\w -]{{1,80}}?)(?: {_STOCKED})?"
    rf"|(?P<nothing>none of (?:these|those|them)|neither(?: of them)?) (?:is|are) {_STOCKED}"
    rf"|(?P<gone>[\w ,-]{{1,80}}?){_OUT}),? (?:then )?(?:please )?(?:just )?"
)
_ITSELF = r"(?:it|(?:the|your) (?P<{0}>[\w -]{{1,80}}?))"
_KEEP = re.compile(
    _LACKING
    + rf"(?:(?:you (?:would (?:rather )?|will |want to |would like to )?)?(?:just )?(?:keep|leave) {_ITSELF.format('kept')}"
    r"(?: as (?:it is|is)| the same| unchanged| alone)?"
    rf"|(?:do not|don't|you (?:do not|don't) want to) (?:exchange|change|modify|swap|do) {_ITSELF.format('left')}"
    rf"|no (?:exchange|change|modification) (?:for|of|to) {_ITSELF.format('same')})$",
    re.IGNORECASE,
)
_RETURN = re.compile(
    _LACKING
    + r"(?:you (?:would (?:rather |like to )?|will |want to ))?(?:just )?(?:return it|get a (?:full )?refund(?: for it)?)"
    r"(?: instead)?$",
    re.IGNORECASE,
)
_OTHER = re.compile(
    _LACKING
    + r"(?:(?:you (?:would |will )?(?:also )?(?:go (?:for|with)|take|accept|settle for|like|prefer|want|choose"
    r"|be (?:fine|okay|ok|happy) with)|you are (?:fine|okay|ok|happy) with|(?:choose|pick|take|get|go (?:for|with)|make it))"
    r" (?!to )(?P<wish>[\w -]{1,80}?)(?: instead)?|(?P<fine>[\w -]{1,80}?) (?:is|would be|will be) (?:fine|okay|ok|good|acceptable|alright)"
    r"(?: too| instead| as well)?)$",
    re.IGNORECASE,
)
_CHEAPEST = re.compile(
    r"if (?:there (?:are|is) )?(?:multiple|several|more than one|many)(?: (?:options?|versions?|models?|variants?|choices?|of them))?"
    r"(?: (?:are|is))?(?: available| in stock| to choose from)?, (?:you (?:would |will |want to )?(?:prefer|want|like|choose|take|pick)"
    r"|(?:please )?(?:choose|pick|take|get|select|go (?:for|with))) the (?P<price>cheapest|least expensive|most expensive)"
    r"(?: one| option| version)?$",
    re.IGNORECASE,
)
_PAY = re.compile(
    rf"if (?:that|this|it|(?P<first>{PAYS}))(?:{_NOT} (?:possible|enough|accepted|available)| (?:cannot|can't) be used"
    r"| does not (?:cover it|hold enough)),? (?:please )?(?:just )?(?:you (?:would |will |want to )?)?(?:use|pay with|go with"
    rf"|prefer|refund (?:it )?to) (?P<pay>{PAYS})$",
    re.IGNORECASE,
)
_PERSON = re.compile(
    rf"if (?:(?:{_IT}|any of (?:this|that|it)){_NOT} possible|(?:that|this|it) is impossible|(?:the agent|you) (?:cannot|can't"
    r"|(?:is|are) (?:unable|not able) to) (?:help|do (?:it|that|this))(?: you)?(?: with (?:it|this|that))?),? (?:then )?(?:please )?"
    r"(?:you (?:want|would like) to (?:be transferred|be connected|talk|speak)|transfer(?: you)?|connect you|ask (?:for|to be transferred))"
    r"(?: (?:to|with))? an? (?:human|person|real person|supervisor|manager|(?:human )?(?:agent|representative))$",
    re.IGNORECASE,
)


def apply(sentence: str, requests: list[Request]) -> bool:
    """Whether the sentence is such an alternative and was worked into the requests."""
    for pattern, rule in _RULES:
        if found := pattern.match(sentence):
            return rule(found, requests)
    return False


def _keep(found: re.Match[str], requests: list[Request]) -> bool:
    request, _ = _lacking(found, requests)
    named = found["kept"] or found["left"] or found["same"]
    if request is None or (named and not any(_holds(item, named) for item in request.items)):
        return False
    request.otherwise = "leave"
    return True


def _return(found: re.Match[str], requests: list[Request]) -> bool:
    request, _ = _lacking(found, requests)
    if request is None or len(request.items) != 1:
        return False
    request.otherwise = "return"
    return True


def _other(found: re.Match[str], requests: list[Request]) -> bool:
    """Another value stands where the one that cannot be had stood: `a black one` → `a green one`."""
    request, value = _lacking(found, requests)
    wish = _bare(found["wish"] or found["fine"])
    if request is None or not value or not wish:
        return False
    request.fallbacks.append(re.sub(rf"\b{re.escape(value)}\b", wish, _latest(request), flags=re.IGNORECASE))
    return True


def _lacking(found: re.Match[str], requests: list[Request]) -> tuple[Request | None, str]:
    """The exchange whose wish holds what cannot be had, and the words for it; the last exchange when it is only `that`."""
    said = (found["none"] or found["gone"] or "").strip()
    swaps = [r for r in requests if r.do == "swap" and r.wish and not r.otherwise]
    if re.fullmatch(_IT, said, re.IGNORECASE):
        alone = (
            bool(swaps)
            and swaps[-1] is requests[-1]
            and [r.words for r in requests].count(swaps[-1].words) == 1
        )
        return (swaps[-1], "") if alone else (None, "")
    if found["nothing"]:
        return (swaps[-1], "") if swaps and swaps[-1] is requests[-1] and swaps[-1].fallbacks else (None, "")
    several = re.split(r", (?:and |or )?| and | or ", said)
    if len(several) > 1:
        fits = [r for r in swaps if all(_holds(" ".join([r.wish, *r.fallbacks]), one) for one in several)]
        return (fits[0], "") if len(fits) == 1 else (None, "")
    meant = [(r, value) for r in swaps if _holds(_latest(r), value := _value(said, r))]
    return meant[0] if len(meant) == 1 else (None, "")


def _value(said: str, request: Request) -> str:
    """`black lamp` → `black`, when it is the lamp that is exchanged."""
    things = {word.lower() for item in request.items for word in re.findall(r"\w+", item)} | {
        "one",
        "ones",
        "version",
        "option",
    }
    kept = _bare(said).split()
    while kept and kept[-1].lower() in things:
        kept.pop()
    return " ".join(kept)


def _bare(words: str) -> str:
    return re.sub(r"^(?:an?|the)\s+|\s+ones?$", "", words.strip(), flags=re.IGNORECASE)


def _latest(request: Request) -> str:
    return request.fallbacks[-1] if request.fallbacks else request.wish


def _holds(wish: str, value: str) -> bool:
    return bool(value) and re.search(rf"\b{re.escape(value)}\b", wish, re.IGNORECASE) is not None


def _priced(found: re.Match[str], requests: list[Request]) -> bool:
    """When several meet the wish, their prices decide: what the wish does not speak of is free then."""
    last = requests[-1] if requests else None
    if (
        last is None
        or last.do != "swap"
        or not last.wish
        or [r.words for r in requests].count(last.words) > 1
    ):
        return False
    if re.search(r"cheap|expensive|price|same", last.wish, re.IGNORECASE):
        return False
    last.wish += f", the {found['price'].lower()}"
    return True


def _paid(found: re.Match[str], requests: list[Request]) -> bool:
    """The profile and the handbook say which method can be used; the second one counts when the first cannot."""
    money = [r for r in requests if r.do in ("return", "swap")]
    if not money or not all(r.pay for r in money) or len({tuple(r.pay) for r in money}) > 1:
        return False
    if found["first"] and _bare(found["first"]).split()[-2:] != _bare(money[0].pay[-1]).split()[-2:]:
        return False
    for request in money:
        request.pay.append(found["pay"])
    return True


def _handed(found: re.Match[str], requests: list[Request]) -> bool:
    """What cannot be done goes to a person in any case."""
    return bool(requests)


_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], list[Request]], bool]], ...] = (
    (_PERSON, _handed),
    (_PAY, _paid),
    (_KEEP, _keep),
    (_RETURN, _return),
    (_CHEAPEST, _priced),
    (_OTHER, _other),
)
