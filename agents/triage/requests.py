"""What a clause asks to have done: a verb, the items, the wish, the order, where money goes.

Verbs are taken at their word only as far as it goes: `exchange` and `change` are one kind (`swap`),
because customers use both for pending and delivered orders; the order's state decides. Phrases are handed
on as they stand: the order book explains each of their words, or the request stays open.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Do = Literal["return", "swap", "cancel", "readdress", "profile_address", "repay"]

#: `to the same type as the one you received`: the wish is an item of another order.
_LIKE = re.compile(
    r"^(?:be )?(?:the |an? )?(?:exact )?(?:same )?(?:type|kind|one|model|version|item)?\s*(?:as|that is) "
    r"(?:the one )?(?:that )?"
    r"(?:(?:is )?in your (?P<a>pending|delivered) order|you (?:have )?(?:already |just )?(?P<b>received))$",
    re.IGNORECASE,
)
_MINUS = re.compile(
    r"^(?P<all>everything|all(?: of)?(?: the| your)? ?(?:items|things)?)(?: in it)? (?:except|apart from"
    r"|other than|but)(?: for)? (?P<minus>.+)$",
    re.IGNORECASE,
)

VERBS = (
    r"return|send back|refund|get (?:a )?(?:full )?refund|exchange|swap|change|modify|switch|replace"
    r"|update|adjust|cancel|correct"
)
_WANT = (
    r"(?:you (?:also |now |just |really |both )?(?:would )?(?:also )?(?:want|wish|need|like|'d like|are "
    r"looking|wanna|have decided)"
    r"(?: the agent)? (?:also )?to (?:also )?)"
)
_LEAD = re.compile(rf"^(?:{_WANT}|to )?(?:also )?(?:please )?(?=(?:{VERBS})\b)", re.IGNORECASE)
_NEXT = re.compile(
    rf"(?:,\s*|\s+)(?:and\s+)?(?:then\s+|also\s+|lastly,?\s+|finally,?\s+)*(?={_WANT}(?:\w+)\b|you "
    rf"(?:also )?(?:want|need|would like) )"
    rf"|(?:,\s*and|\s+and|,|,\s*but)\s+(?:then\s+|also\s+)*(?=(?:{VERBS})\s+(?:the|your|all|both|order|it"
    rf"|an?|any)\b)",
    re.IGNORECASE,
)
_ORDER = re.compile(
    r"\s*\b(?:(?:in|from|of|for|on|with|within|to)\s+)?(?:the |your |that )?(?:pending |delivered |recent )?"
    r"(?:order\s+)?(?:number\s+|id\s+|no\.?\s+)?#(W\d{4,})|\s*\b(?:in |from |of |for |on )?(?:the |your "
    r")?order (?:number |id )?(W\d{4,})",
    re.IGNORECASE,
)
_PAY_WORD = (
    r"(?:gift card|gc|giftcard|paypal|credit card|visa|mastercard|amex|american express|original "
    r"payment|original method|\w+ card)"
)
_PAY = re.compile(
    r",?\s*(?:and\s+)?(?:you\s+(?:want|would like)\s+)?(?:to\s+)?(?:"
    r"(?:get|receive|have|issue)?\s*(?:the|a|your|full|any)?\s*(?:full )?refund(?:ed)?\s+(?:it |them "
    r"|should |to |go |be |issued |back |made |processed )*"
    r"(?:to|via|on|onto|through|using|with)|(?:get|have) (?:it|them|the money) (?:refunded |back )?(?:to"
    r"|via|on)|"
    r"(?:use|using|via|pay with|paying with|with payment by|with)"
    rf")\s+(?P<pay>(?:the |your |my |a |an )?(?:\w+ )?{_PAY_WORD}[\w ]*?)(?:\s+to (?:cover|pay)[\w ]*"
    rf"|\s+for (?:any|the) (?:\w+ )*(?:difference|charges?|refund))?$",
    re.IGNORECASE,
)
_BECAUSE = re.compile(
    r",?\s*\b(?:because|since|due to) (?P<why>(?:it|you|your|they|of|the|some)\b[^,]*?)(?=$|, [^,]+ would "
    r"be \w+$)",
    re.IGNORECASE,
)
_SOON = re.compile(
    r"\s*\b(?:as soon as possible|asap|right away|immediately|too|as well|today|please|for you)(?=$|[ ,])",
    re.I,
)
_TO = re.compile(r"\s+(?:to|for|with|into|by)\s+(?:be\s+|have\s+)?", re.IGNORECASE)
_REPAY = re.compile(
    rf"^(?:{_WANT})?(?:also )?(?:please )?(?:change|modify|switch|update) (?:the |your )?payment(?: "
    rf"method)?(?: (?:of|for|on) (?P<what>[^,]+?))? "
    rf"(?:to|with) (?P<pay>(?:the |your |my |a |an )?(?:\w+ )?{_PAY_WORD})$",
    re.IGNORECASE,
)
_PAIR = re.compile(r"(?:,\s*and|,|\s+and)\s+(?=(?:the|your|a)\s+[^,]*?\s+(?:to|for|into)\s+)", re.IGNORECASE)


@dataclass
class Request:
    """One thing to be done. `items` and `wish` are the customer's phrases; `pay` methods, best first."""

    do: Do
    items: list[str] = field(default_factory=list)
    wish: str = ""
    order_id: str = ""
    pay: list[str] = field(default_factory=list)
    reason: str = ""
    whole: bool = False
    otherwise: str = ""
    fallbacks: list[str] = field(default_factory=list)
    like: str = ""
    minus: list[str] = field(default_factory=list)
    address: dict[str, str] = field(default_factory=dict)
    words: str = ""

    def detail(self) -> dict[str, Any]:
        """As it travels in a subtask."""
        return {key: value for key, value in asdict(self).items() if value}


def clauses(sentence: str) -> list[str]:
    """The sentence cut before each new verb of asking."""
    return [part.strip(" ,.") for part in _NEXT.split(sentence) if part and part.strip(" ,.")]


def read(clause: str) -> list[Request] | None:
    """The requests in the clause; None when it is none, or one that is not understood."""
    if repay := _REPAY.match(clause):
        found = _one_order(repay["what"] or "")
        if found is None:
            return None
        text, order_id = found
        if text and order_id and not re.fullmatch(r"(?:the |your |order)*", text):
            return None
        return [
            Request("repay", [] if order_id else listed(text), "", order_id, [repay["pay"]], words=clause)
        ]
    lead = _LEAD.match(clause)
    if not lead:
        return _no_longer_needed(clause)
    text = _SOON.sub("", clause[lead.end() :]).strip(" ,")
    plain, reason = _reason(text)
    if plain is None:
        return None
    text = plain
    verb = re.match(rf"(?:{VERBS})(?:\s+for|\s+of)?\b", text, re.IGNORECASE)
    if not verb:
        return None
    word, rest = verb.group().lower(), text[verb.end() :].strip()
    paid = _PAY.search(rest)
    pay = [paid.group("pay")] if paid else []
    rest = rest[: paid.start()].strip(" ,") if paid else rest
    if re.search(r"\baddress(?:es)?\b|\bpayment\b", rest, re.IGNORECASE):
        return None
    if word.startswith("cancel"):
        return _cancel(rest, reason, clause) if not pay else None
    if word.startswith(("return", "send", "refund", "get")):
        return _returns(rest, pay, clause)
    return _swaps(rest, pay, clause)


def _reason(text: str) -> tuple[str | None, str]:
    """The text without its `because ...`; None when the reason says more than why."""
    found = _BECAUSE.search(text)
    if not found:
        return text, ""
    why = found.group("why")
    if re.search(
        r"\b(?:if|unless|but|except|instead|only|prefer|want|would|should|need|replacement|return|cancel"
        r"|exchange|refund)\b",
        why,
        re.I,
    ):
        return None, ""
    return (text[: found.start()] + text[found.end() :]).strip(" ,"), cancel_reason(why)


def cancel_reason(words: str) -> str:
    """The handbook's reason that the words state; empty when they state none."""
    if re.search(r"\bmistake|\baccident|\bwrong(?:ly)?\b|\berror\b", words, re.IGNORECASE):
        return "ordered by mistake"
    if re.search(
        r"\b(?:no longer|not|don't|do not|doesn't) (?:\w+ )?(?:need|want)|\bchanged? (?:your|the) mind",
        words,
        re.I,
    ):
        return "no longer needed"
    return ""


def _one_order(text: str) -> tuple[str, str] | None:
    """The text without its order number, and the number; None when there are two."""
    ids = dict.fromkeys((a or b).upper() for a, b in _ORDER.findall(text))
    if len(ids) > 1:
        return None
    return " ".join(_ORDER.sub(" ", text).split()).strip(" ,"), f"#{next(iter(ids))}" if ids else ""


def listed(phrase: str) -> list[str]:
    """`the lamp, a watch and both mugs` → its parts. Options in `{...}` are not cut."""
    phrase = re.sub(r"^(?:the following|these)(?: items)?:?\s*", "", phrase.strip(" ,:"))
    parts = re.split(r",\s*(?:and\s+)?(?![^{]*\})|\s+and\s+(?![^{]*\})|\s*&\s*", phrase)
    return [part.strip() for part in parts if part.strip()]


def _no_longer_needed(clause: str) -> list[Request] | None:
    found = re.match(
        r"^(?:due to [\w ]+, )?you no longer (?:need|want) (?P<items>.+)$", clause, re.IGNORECASE
    )
    if not found:
        return None
    read_order = _one_order(found.group("items"))
    if read_order is None:
        return None
    return [
        Request(
            "cancel", listed(read_order[0]), order_id=read_order[1], reason="no longer needed", words=clause
        )
    ]


def _cancel(rest: str, reason: str, clause: str) -> list[Request] | None:
    several = re.fullmatch(
        r"(?:both )?(?:the |your )?orders? (#W\d+(?:(?:,| and|, and) (?:order )?#W\d+)+)", rest, re.IGNORECASE
    )
    if several:
        ids = re.findall(r"#W\d+", several.group(1))
        return [Request("cancel", order_id=one, whole=True, reason=reason, words=clause) for one in ids]
    found = _one_order(rest)
    if found is None:
        return None
    text, order_id = found
    if order_id and re.fullmatch(r"(?:the |your |whole |entire |pending |order)*", text, re.IGNORECASE):
        return [Request("cancel", order_id=order_id, whole=True, reason=reason, words=clause)]
    return [Request("cancel", listed(text), order_id=order_id, reason=reason, words=clause)] if text else None


def _returns(rest: str, pay: list[str], clause: str) -> list[Request] | None:
    found = _one_order(rest)
    if found is None:
        return None
    text, order_id = found
    if not text and order_id:
        text = "everything"
    if (kept := _MINUS.match(text)) and order_id:
        return [
            Request(
                "return",
                ["everything"],
                order_id=order_id,
                pay=pay,
                minus=listed(kept["minus"]),
                words=clause,
            )
        ]
    return [Request("return", listed(text), order_id=order_id, pay=pay, words=clause)] if text else None


def _swaps(rest: str, pay: list[str], clause: str) -> list[Request] | None:
    found = _one_order(rest)
    if found is None:
        return None
    text, order_id = found
    requests = []
    good = re.fullmatch(
        r"(?P<what>[^,]+), (?P<wish>[^,]+) would be (?:good|great|fine|nice|perfect)", text, re.IGNORECASE
    )
    if good:
        return [Request("swap", listed(good["what"]), good["wish"], order_id, pay, words=clause)]
    for part in _PAIR.split(text):
        sides = _TO.split(part, maxsplit=1)
        if len(sides) != 2 or not sides[1].strip():
            return None
        what = re.sub(r"\s+that you(?:'ve| have)? (?:placed|ordered|bought)$", "", sides[0].strip(" ,"))
        items = listed(what)
        wish = sides[1].strip(" ,")
        like = _LIKE.match(wish)
        meant = "" if not like else "delivered" if like["b"] else str(like["a"]).lower()
        requests.append(Request("swap", items, wish, order_id, list(pay), like=meant, words=clause))
    return requests
