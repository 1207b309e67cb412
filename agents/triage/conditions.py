"""Conditions that can be kept soundly, each as a rule that alters the requests read so far.

Most conditions are left unread on purpose: an `if` that is half understood makes a wrong write. A rule
belongs here only when what it means can be decided from the shop's records or the handbook, whatever the
ticket.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from triage import alternatives
from triage.phrases import PAYS
from triage.requests import Request, cancel_reason

Rule = Callable[[re.Match[str], list[Request]], bool]
_PAYS = f"(?P<pay>{PAYS})"
_ASKED = r"(?:if|when) (?:the agent asks|you are asked|asked)(?: you)?"
_CONFIRM = (
    r"(?:if|when|once) the agent asks(?: you)? (?:for|to) (?:final |your )?(?:confirmation|confirm"
    r"|verification|verify)(?: before proceeding)?,? "
)
_GONE = (
    r"if (?:it|that|this|the item|the exact item|the new item|no such item|none|nothing like that) (?:(?:is|are) "
    r"(?:not|n't) (?:available|in stock)|isn't (?:available|in stock)|is (?:unavailable|out of stock|sold out)), "
)
_WHOLE = r"(?:the |that )?(?:whole|entire|full) (?:order|thing)"


def _reason(found: re.Match[str], requests: list[Request]) -> bool:
    """The handbook knows two reasons for a cancellation, and asks for one."""
    reason = cancel_reason(found.group("reason"))
    cancels = [r for r in requests if r.do == "cancel" or r.otherwise == "cancel"]
    if not reason or not cancels or any(r.reason not in ("", reason) for r in cancels):
        return False
    for request in cancels:
        request.reason = reason
    return True


def _named(noun: str, requests: list[Request], do: str) -> Request | None:
    """The request that is about this one thing, or the last one when no thing is named."""
    noun = plain(noun)
    if not noun:
        return requests[-1] if requests and requests[-1].do == do else None
    fits = [r for r in requests if r.do == do and len(r.items) == 1 and plain(r.items[0]).endswith(noun)]
    return fits[0] if len(fits) == 1 else None


def plain(phrase: str) -> str:
    """A phrase without its article, to compare it with another."""
    return re.sub(r"^(?:(?:the|your|an?|this|that)\s+)+", "", phrase.strip().lower())


def _tie(found: re.Match[str], requests: list[Request]) -> bool:
    """When the option does not matter but one value is liked, the value decides among what fits."""
    request = _named(found.group("noun") or "", requests, "swap")
    if request is None or not request.wish:
        return False
    request.wish += f", any {found.group('key')}, prefer {found.group('value')}"
    return True


def _fallback(found: re.Match[str], requests: list[Request]) -> bool:
    """The records say what is in stock; a second wish counts only when nothing in stock meets the first."""
    said = found.groupdict()
    request = _named(said.get("noun") or "", requests, "swap")
    if request is None or request.otherwise or not request.wish:
        return False
    request.fallbacks.append(f"{request.wish}, {said['wish']}")
    if said.get("first"):
        request.wish = f"{request.wish}, {said['first']}"
    return True


def _else_leave(found: re.Match[str], requests: list[Request]) -> bool:
    """The records say what is in stock; what cannot be had stays as it is."""
    said = found.groupdict()
    request = _named(said.get("noun") or "", requests, "swap")
    if request is None or request.otherwise or not request.wish:
        return False
    others = [r for r in requests if r is not request and r.wish and r.do == "swap"]
    if said.get("rest") and not any(
        plain(r.items[0]).endswith(plain(said["rest"])) for r in others if len(r.items) == 1
    ):
        return False
    if said.get("rest") and len(others) != 1:
        return False
    if said.get("first"):
        request.wish = f"{request.wish}, {said['first']}"
    request.otherwise = "leave"
    return True


def _else_return(found: re.Match[str], requests: list[Request]) -> bool:
    """The records say what is in stock; one thing that cannot be exchanged goes back."""
    request = _named("", requests, "swap")
    if request is None or request.otherwise or not request.wish or len(request.items) != 1:
        return False
    request.otherwise = "return"
    return True


def _whole(found: re.Match[str], requests: list[Request]) -> bool:
    """One item of an order can never be cancelled alone, so this condition is always met."""
    if not requests or requests[-1].do != "cancel" or requests[-1].otherwise:
        return False
    requests[-1].whole = True
    reason = cancel_reason(found.groupdict().get("reason") or "")
    if reason and requests[-1].reason not in ("", reason):
        return False
    requests[-1].reason = requests[-1].reason or reason
    return True


def _part_only(found: re.Match[str], requests: list[Request]) -> bool:
    """One item of an order can never be cancelled alone; then the order stays as it is."""
    if not requests or requests[-1].do != "cancel" or requests[-1].whole or not requests[-1].items:
        return False
    requests[-1].otherwise = "leave"
    return True


def _else_cancel(found: re.Match[str], requests: list[Request]) -> bool:
    """The records say whether the wished variant is in stock."""
    if not requests or requests[-1].do != "swap" or not requests[-1].wish or requests[-1].otherwise:
        return False
    if len(requests) > 1 and requests[-2].words == requests[-1].words:
        return False
    requests[-1].otherwise = "cancel"
    requests[-1].reason = cancel_reason(found.groupdict().get("reason") or "")
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


def _refund(found: re.Match[str], requests: list[Request]) -> bool:
    """Where the money of a return goes; of an exchange it is not said who pays if there is more to pay."""
    return all(r.do != "swap" for r in requests) and _pay(found, requests)


def _charge(found: re.Match[str], requests: list[Request]) -> bool:
    """Only for an exchange there may be something to pay."""
    return all(r.do != "return" for r in requests) and _pay(found, requests)


def _keep(found: re.Match[str], requests: list[Request]) -> bool:
    """What is liked about the item stays; the order book checks that the item has it."""
    if not requests or requests[-1].do != "swap" or not requests[-1].wish:
        return False
    requests[-1].wish += f", keep the {found.group('value')}"
    return True


def _same(found: re.Match[str], requests: list[Request]) -> bool:
    """An option that stays; the order book checks that it is one. The thing itself may not stay: it is exchanged."""
    last = requests[-1] if requests else None
    things = {word for item in last.items for word in re.findall(r"\w+", item.lower())} if last else set()
    if (
        last is None
        or last.do != "swap"
        or not last.wish
        or (things | {"one"}) & set(re.findall(r"\w+", found["value"].lower()))
    ):
        return False
    last.wish += f", the same {found['value']}"
    return True


def _unchanged(found: re.Match[str], requests: list[Request]) -> bool:
    """What is not spoken of stays anyway, unless the price is what decides."""
    request = requests[-1] if requests and requests[-1].do == "swap" and requests[-1].wish else None
    return bool(request) and not re.search(
        r"cheap|expensive|price", request.wish if request else "", re.IGNORECASE
    )


def _which(found: re.Match[str], requests: list[Request]) -> bool:
    """An item described closer, when asked: the description is part of the phrase."""
    noun = plain(found.group("noun"))
    fits = [(r, at) for r in requests for at, p in enumerate(r.items) if plain(p).endswith(noun)]
    for request, at in fits[:1] if len(fits) == 1 else ():
        request.items[at] = f"{found.group('closer')} {plain(request.items[at])}"
        return True
    return False


_RULES: tuple[tuple[re.Pattern[str], Rule], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), rule)
    for pattern, rule in (
        (_ASKED + r" (?:for|about) (?:the |a |your )?(?:cancell?ation )?reason(?: for (?:the )?cancell?ation)?,? "
         r"(?:you )?(?:would )?(?:say|tell|answer|it is|it's)(?: that| it's| it is| because)? (?P<reason>[^,;]+)$",
         _reason),
        (r"(?:(?:the|your) reason (?:for (?:the )?(?:cancell?ation|cancell?ing) )?is|since|because|as)(?: that)? "
         r"(?P<reason>(?:(?:it|they|you|the order|the orders)\b)?[\w' ]+)$", _reason),
        (r"(?:it is important that )?you (?:state|say|mention)(?: that)? (?:the |your )?reason (?:for (?:the )?"
         r"cancell?(?:ation|ing) )?(?:was|is) (?P<reason>[\w' ]+)$", _reason),
        (r"if (?:multiple|several|more than one|different) (?P<key>[a-z]+) (?:are|is) available(?: for "
         r"(?P<noun>the [\w ]+))?, you (?:would )?prefer (?P<value>[a-z]+)$", _tie),
        (r"you (?:like|love) (?:the |its )(?P<value>[\w-]+(?: [\w-]+)??)(?: feeling| feel| look)?$", _keep),
        (r"if there is no (?P<noun>[\w -]+?) that is (?P<first>[^?]+), you would rather only (?:exchange|change|modify)"
         r" (?P<rest>[\w -]+)$", _else_leave),
        (r"if there is no (?P<noun>[\w -]+?) that is (?P<first>[^?]+), you would (?:go for|take|want|accept|like)"
         r" (?P<wish>[\w ,-]+)$", _fallback),
        (_GONE + r"(?:you )?(?:would )?(?:please )?(?:just )?(?:keep|leave) (?:it|the \w+|your \w+)(?: as it is)?$",
         _else_leave),
        (_GONE + r"(?:please )?(?:do not|don't|you do not want to) (?:exchange|change|modify|do) (?:it|anything)$",
         _else_leave),
        (_GONE + r"(?:please )?(?:just )?(?:you (?:would )?(?:want|like) to )?(?:return it|get a refund)(?: instead)?$",
         _else_return),
        (_GONE + r"you (?:would )?(?:go for|take|accept|settle for|like|prefer) (?P<wish>[\w ,-]+?)(?: instead)?$",
         _fallback),
        (r"you (?:ordered|bought|placed) (?:it|them|that|the order)(?: both)? (?P<reason>by (?:mistake|accident))$",
         _reason),
        (r"(?P<reason>you no longer (?:need|want) (?:it|them|the order)|(?:it was|that was|they were) "
         r"(?:ordered by )?(?:a )?mistake)$", _reason),
        (r"if (?:cancell?ing|removing) (?:part|one item|a single item|only part|some) ?(?:of the order )?(?:is not|isn't)"
         rf" possible, (?:you don't care, |you do not mind, )?(?:please )?(?:just )?cancel {_WHOLE}$", _whole),
        (r"if you (?:cannot|can't) cancel (?:just |only )?(?:one|a|one single|the|a single) (?:single )?\w+(?: \w+)?"
         r"(?: in an order)?, (?:you are (?:okay|fine|ok) with cancell?ing|(?:please )?(?:just )?cancel|you want to cancel)"
         rf" {_WHOLE}(?:,? with the reason of (?P<reason>[\w ]+))?$", _whole),
        (r"if (?:this|that|it) (?:would |will )?requires? cancell?ing " + _WHOLE + r", (?:tell the agent to |please )?"
         r"(?:not do it|do not do it|don't do it|leave it|keep it|do nothing)$", _part_only),
        (r"(?:if (?:that is |it is )?not possible, )?(?:do not|don't) do anything (?:on|with|to) that order$|"
         r"if (?:that is |it is )?not possible, (?:do not|don't) do anything (?:on|with|to) that order$", _part_only),
        (r"if (?:it|that|this) (?:is not|isn't) available, (?:please )?(?:just )?cancel the (?:whole |entire )?order"
         r"(?: and you will (?:buy|order) (?:it )?again)?$", _else_cancel),
        (r"if (?:it|that|this) (?:is not|isn't) (?:available|possible), (?:please )?(?:just )?cancel the (?:whole |entire )"
         r"?order (?:since|because|as) (?P<reason>[\w' ]+)$", _else_cancel),
        (r"if (?:a |the )?refund(?:ing)? to (?:the |your )?[\w ]+ (?:is not|isn't) possible, (?:you (?:become|get|are)"
         r" \w+ and )?refund (?:it )?to " + _PAYS + "$", _else_pay),
        (r"(?:any|the) (?:price )?(?:difference|refund) should (?:go(?: back)?|be (?:refunded|paid|charged|credited"
         r"|made|issued|sent)) (?:back )?(?:to|with|via|on) " + _PAYS + "$", _pay),
        (r"(?:you (?:want|would like|(?:would )?prefer) (?:to )?)?(?:refund (?:it|them|the money|everything)|(?:send|put|issue|have|get) the "
         r"(?:full )?(?:refund|money)|your money"
         r"|(?:to (?:get|have|receive) )?(?:the|your|a) (?:full )?refund)(?: back)? (?:to|on|onto|via) " + _PAYS + "$", _refund),
        (r"you (?:want|would like) to pay (?:(?:for it|for this|the (?:price )?difference|any (?:price )?difference) )?(?:with"
         r"|by|via|using) " + _PAYS + "$", _charge),
        (r"you (?:want|would like) (?:the|your) refund (?:to go |to be made |back )?(?:to|via|on|onto) " + _PAYS + "$", _pay),
        (r"(?:for both orders, |for all of it, |for everything, )?you (?:would )?prefer " + _PAYS
         + r" (?:as|for) (?:the |your |any )?(?:payment|refund)(?: (?:or|and) (?:refund|payment))?(?: method)?$", _pay),
        (_PAYS + r" is prefer+ed(?: for (?:the )?(?:refund|payment))?$", _pay),
        (r"(?:use|you want to use) " + _PAYS + r" (?:for|to pay for) (?:the|this|that) (?:exchange|change)$", _charge),
        (r"(?:use|you want to (?:use|pay with|pay (?:the |any )(?:price )?difference with)) " + _PAYS
         + r"(?: (?:for|to pay) (?:any|the) (?:\w+ )?(?:differences?|payment|charges?|refund)| for (?:both|everything))?$", _pay),
        (_ASKED + r" (?:for|about) (?:the |a |your )?payment(?: method)?, (?:you )?(?:say|use|want|prefer)(?: to use)? "
         + _PAYS + "$", _pay),
        (_CONFIRM + r"make sure (?:that )?the refund(?:ed amount)? (?:is given|goes|is made) to " + _PAYS + "$", _pay),
        (_ASKED + r" (?:for )?which (?P<noun>[\w ]+?),? (?:it is|it's|mention|say) (?:the )?(?P<closer>[\w ,-]+?)"
         r"(?: one)?$", _which),
        (r"you (?:also |still )?(?:want|would like|wish) (?:it )?(?:to (?:keep|have) )?the same (?P<value>[\w-]+(?: [\w-]+)*?)"
         r"(?: as before| as now)?$", _same),
        (r"(?:make sure|ensure)(?: that)? (?:all )?(?:the )?other (?:\w+ )?(?:options|specs|specifications|features|"
         r"details|things)(?: \w+)* (?:are|is|stay|remain)(?: the)? (?:same|unchanged)$", _unchanged),
        (r"(?:(?:you want to )?(?:keep|leave) everything else|(?:everything else|(?:all )?(?:the )?other (?:options|features|specs|specifications"
         r"|details)) should (?:stay|remain|be|be kept)) (?:(?:the )?same|unchanged|as (?:it is|they are))$", _unchanged),
    )
)  # fmt: skip
_ONLY = re.compile(_CONFIRM + r"(?:you )?only (?P<verb>exchange|return) (?P<what>[\w -]+)$", re.IGNORECASE)
_ADDED = re.compile(
    _CONFIRM + r"(?:(?:do not|don't) say yes (?:immediately|right away|yet),? because )?you (?:also want to"
    r"|add another request and (?:also )?want to) (?P<new>.+)$",
    re.IGNORECASE,
)
_INSTEAD = re.compile(
    _CONFIRM + r"you change your mind and (?:want to )?(?P<new>(?:return|exchange) .+)$", re.IGNORECASE
)


def apply(sentence: str, requests: list[Request]) -> bool:
    """Whether the sentence is such a condition and was worked into the requests."""
    if only := _ONLY.match(sentence):
        return _reduce(only, requests)
    for pattern, rule in _RULES:
        found = pattern.match(sentence)
        if found:
            return rule(found, requests)
    return alternatives.apply(sentence, requests)


def is_payment(sentence: str) -> bool:
    """Whether it is a wish about money that stands alone, for all that is asked."""
    return any(pattern.match(sentence) for pattern, rule in _RULES if rule is _pay)


def at_confirmation(sentence: str) -> tuple[str, bool]:
    """A request made when the agent asks for confirmation, which it always does; and whether it replaces."""
    added, instead = _ADDED.match(sentence), _INSTEAD.match(sentence)
    found = added or instead
    return (f"you want to {found['new']}", instead is not None) if found else ("", False)


def _reduce(found: re.Match[str], requests: list[Request]) -> bool:
    """The agent always asks for confirmation, so `then only exchange the lamp` is what is wanted."""
    do = "return" if found["verb"].lower() == "return" else "swap"
    real = [r for r in requests if r.do != "swap" or r.wish]
    chosen = [r for r in real if [plain(i) for i in r.items] == [plain(found["what"])]]
    if len(chosen) != 1 or any(r.do != do for r in real):
        return False
    requests[:] = chosen
    return True
