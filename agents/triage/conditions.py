"""Conditions that can be kept soundly, each as a rule that alters the requests read so far.

Most conditions are left unread on purpose: an `if` that is half understood makes a wrong write. A rule
belongs here only when what it means can be decided from the shop's records or the handbook, whatever the
ticket.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from triage.requests import Request, cancel_reason

Rule = Callable[[re.Match[str], list[Request]], bool]
_PAYS = (
    r"(?P<pay>(?:the |your |a |an )?(?:\w+ )?(?:gift card|gc|paypal|credit card|visa|mastercard"
    r"|original payment)[\w ]*)"
)
_ASKED = r"if (?:the agent asks|you are asked|asked)(?: you)?"


def _reason(found: re.Match[str], requests: list[Request]) -> bool:
    """The handbook knows two reasons for a cancellation, and asks for one."""
    reason = cancel_reason(found.group("reason"))
    cancels = [r for r in requests if r.do == "cancel" or r.otherwise == "cancel"]
    for request in cancels:
        request.reason = reason
    return bool(reason and cancels)


def _tie(found: re.Match[str], requests: list[Request]) -> bool:
    """When the option does not matter but one value is liked, the value decides among what fits."""
    if not requests or requests[-1].do != "swap":
        return False
    requests[-1].wish += f", any {found.group('key')}, prefer {found.group('value')}"
    return True


def _fallback(found: re.Match[str], requests: list[Request]) -> bool:
    """The records say what is in stock; a second wish counts only when nothing in stock meets the first."""
    request = requests[-1] if requests else None
    said = found.groupdict()
    noun = (said.get("noun") or "").strip().lower()
    if noun:
        named = [
            r for r in requests if r.do == "swap" and len(r.items) == 1 and r.items[0].lower().endswith(noun)
        ]
        request = named[0] if len(named) == 1 else None
    if request is None or request.do != "swap" or request.otherwise:
        return False
    request.fallbacks.append(f"{request.wish}, {said['wish']}")
    if said.get("first"):
        request.wish = f"{request.wish}, {said['first']}"
    return True


def _whole(found: re.Match[str], requests: list[Request]) -> bool:
    """One item of an order can never be cancelled alone, so this condition is always met."""
    if not requests or requests[-1].do != "cancel":
        return False
    requests[-1].whole = True
    return True


def _else_cancel(found: re.Match[str], requests: list[Request]) -> bool:
    """The records say whether the wished variant is in stock."""
    if not requests or requests[-1].do != "swap":
        return False
    if len(requests) > 1 and requests[-2].words == requests[-1].words:
        return False
    requests[-1].otherwise = "cancel"
    return True


def _else_pay(found: re.Match[str], requests: list[Request]) -> bool:
    """The handbook says which methods a refund may go to."""
    if not requests or requests[-1].do != "return" or not requests[-1].pay:
        return False
    requests[-1].pay.append(found.group("pay"))
    return True


def _pay(found: re.Match[str], requests: list[Request]) -> bool:
    """A wish about money that stands alone holds for all that is asked."""
    money = [r for r in requests if r.do in ("return", "swap")]
    if not money or any(r.pay for r in money):
        return False
    for request in money:
        request.pay = [found.group("pay")]
    return True


def _keep(found: re.Match[str], requests: list[Request]) -> bool:
    """What is liked about the item stays; the order book checks that the item has it."""
    if not requests or requests[-1].do != "swap":
        return False
    requests[-1].wish += f", keep the {found.group('value')}"
    return True


def _which(found: re.Match[str], requests: list[Request]) -> bool:
    """An item described closer, when asked: the description is part of the phrase."""
    noun = found.group("noun").strip().lower()
    for request in requests:
        for at, phrase in enumerate(request.items):
            if phrase.lower().endswith(noun):
                request.items[at] = f"{found.group('closer')} {phrase}"
                return True
    return False


_RULES: tuple[tuple[re.Pattern[str], Rule], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), rule)
    for pattern, rule in (
        (_ASKED + r" (?:for|about) (?:the |a |your )?(?:cancell?ation )?reason(?: for (?:the "
                  r")?cancell?ation)?,? "
         r"(?:you )?(?:would )?(?:say|tell|answer|it is|it's)(?: that| it's| it is| because)? "
         r"(?P<reason>[^,;]+)$", _reason),
        (r"if (?:multiple|several|more than one|different) (?P<key>[a-z]+) (?:are|is) available(?: for "
         r"the [a-z]+)?, "
         r"you (?:would )?prefer (?P<value>[a-z]+)$", _tie),
        (r"you (?:like|love) (?:the |its )(?P<value>[\w-]+(?: [\w-]+)??)(?: feeling| feel| look)?$", _keep),
        (r"if there is no (?P<noun>[\w -]+?) that is (?P<first>[^?]+), you would (?:go for|take|want"
         r"|accept|like) (?P<wish>[\w ,-]+)$",
         _fallback),
        (r"you (?:ordered|bought|placed) (?:it|them|that|the order)(?: both)? (?P<reason>by (?:mistake"
         r"|accident))$", _reason),
        (r"(?P<reason>you no longer (?:need|want) (?:it|them|the order)|(?:it was|that was|they were) "
         r"(?:ordered by )?(?:a )?mistake)$", _reason),
        (r"if (?:cancell?ing|removing) (?:part|one item|a single item|only part|some) ?(?:of the order "
         r")?(?:is not|isn't) possible, "
         r"(?:you don't care, |you do not mind, )?(?:please )?(?:just )?cancel the (?:whole|entire) order$",
         _whole),
        (r"if (?:it|that|this) (?:is not|isn't) available, (?:please )?(?:just )?cancel the (?:whole "
         r"|entire )?order"
         r"(?: and you will buy again)?$", _else_cancel),
        (r"if (?:a |the )?refund(?:ing)? to (?:the |your )?[\w ]+ (?:is not|isn't) possible, (?:you "
         r"(?:become|get|are) \w+ and )?"
         r"refund (?:it )?to " + _PAYS + "$", _else_pay),
        (r"(?:any|the) (?:price )?(?:difference|refund) should (?:go|be (?:refunded|paid)) (?:to|with|via) "
         + _PAYS + "$", _pay),
        (r"you (?:want|would like) the refund (?:to go |to be made )?(?:to|via|on) " + _PAYS + "$", _pay),
        (r"(?:use|you want to use|you want to pay with) " + _PAYS + r"(?: for (?:any|the) (?:price "
                                                                    r")?differences?)?$", _pay),
        (_ASKED + r" (?:for|about) (?:the |a |your )?payment(?: method)?, (?:you )?(?:say|use|want"
                  r"|prefer)(?: to use)? " + _PAYS + "$", _pay),
        (_ASKED + r" (?:for )?which (?P<noun>[\w ]+?),? (?:it is|it's|mention|say) (?:the "
                  r")?(?P<closer>[\w ,-]+?)(?: one)?$", _which),
    )
)  # fmt: skip


def apply(sentence: str, requests: Sequence[Request] | list[Request]) -> bool:
    """Whether the sentence is such a condition and was worked into the requests."""
    for pattern, rule in _RULES:
        found = pattern.match(sentence)
        if found:
            return rule(found, list(requests))
    return False
