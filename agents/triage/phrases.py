"""The parts of a request, cut out of its words: the order, where money goes, the reason, the list of items."""

from __future__ import annotations

import re

_ORDER = re.compile(
    r"\s*(?<!\w)(?:(?:in|from|of|for|on|with|within|to|inside)\s+)?(?:the |your |that )?(?:pending |delivered "
    r"|recent )?(?:order\s+)?(?:number\s+|id\s+|no\.?\s+)?#(W\d{4,})|\s*\b(?:in |from |of |for |on "
    r"|inside )?(?:the |your )?order (?:number |id )?(W\d{4,})",
    re.IGNORECASE,
)
PAY_WORD = (
    r"(?:gift ?cards?|gc|paypal|credit card|visa|mastercard|amex|american express|original payment"
    r"|original method|original form|\w+ card|(?:credit_card|gift_card|paypal)_\d+)"
)
_NUMBERS = ("two", "three", "four", "five", "six")
#: `two items: the lamp and the mug`.
_COUNTED = re.compile(
    rf"^(?:the |your )?(?P<number>{'|'.join(_NUMBERS)}) (?:items|things|products) ?: (?P<things>.+)$",
    re.IGNORECASE,
)
#: A way to pay, as people name it.
PAYS = rf"(?:(?:the |your |a |an |another )?(?:\w+ )?{PAY_WORD}[\w ]*?)"
_PAY = re.compile(
    r",?\s*(?:and\s+)?(?:you\s+(?:want|would like)\s+)?(?:to\s+|for\s+)?(?:"
    r"(?:get|receive|have|issue|ask for)?\s*(?:the|a|your|full|any)?\s*(?:full )?refund(?:ed)?\s+(?:it |them "
    r"|should |to |go |be |issued |back |made |processed )*"
    r"(?:to|via|on|onto|through|using|with)|(?:get|have) (?:it|them|the money) (?:refunded |back )?(?:to"
    r"|via|on)|(?:use|using|via|pay (?:(?:the|any) (?:price )?difference )?(?:with|by|via)|paying with|with payment by|with|to pay with)"
    rf")\s+(?P<pay>{PAYS})(?:\s+to (?:cover|pay)[\w ]*|\s+for (?:any|the) (?:\w+ )*(?:difference|charges?"
    r"|refund|payment))?$",
    re.IGNORECASE,
)
_BECAUSE = re.compile(
    r",?\s*\b(?:because|since|due to) (?P<why>(?:it|you|your|they|of|the|some|ordered|no longer|a|moving"
    r"|life)\b[^,]*?)(?=$|, [^,]+ would be \w+$)",
    re.IGNORECASE,
)
#: `cancel it, you no longer need it`: the handbook's reason without a word like `because`.
_NEEDLESS = re.compile(
    r"(?:,\s*(?:as |and )?|\s+as )(?P<why>you (?:no longer|do not|don't) (?:need|want) (?:it|them|this|that|the order)"
    r"(?: any ?more| any longer)?|(?:(?:it|they) (?:was|were) )(?:ordered |bought )?(?:by mistake|by accident|a mistake)"
    r"|you (?:ordered|bought|placed) (?:it|them|this|that) by (?:mistake|accident))$",
    re.IGNORECASE,
)
#: What a return brings anyway, where it is not said how.
_BACK = re.compile(
    r",?\s+(?:(?:and|to) )?(?:(?:for|get|receive) (?:a|the|your) (?:full )?(?:refund|money back))(?: for (?:it|them))?$",
    re.IGNORECASE,
)
_WEIGHED = re.compile(
    r"\b(?:if|unless|but|except|instead|only|prefer\w*|would|should|replacement|return\w*"
    r"|cancel\w*|exchang\w*|refund\w*|keep\w*|otherwise|until|when|let|mine|jok\w+)\b",
    re.IGNORECASE,
)
_SOON = re.compile(
    r"\s*\b(?:as soon as possible|asap|right away|immediately|too|as well|today|please|for you)(?=$|[ ,])",
    re.IGNORECASE,
)


def hurried(text: str) -> str:
    """The text without `please`, `too`, `as soon as possible`."""
    return _SOON.sub("", text).strip(" ,")


def reason(text: str) -> tuple[str | None, str]:
    """The text without its `because ...`, and the reason; None when the reason says more than why."""
    found = _BECAUSE.search(text) or _NEEDLESS.search(text)
    if not found:
        return text, ""
    why = found.group("why")
    known = cancel_reason(why)
    if _WEIGHED.search(why) or (not known and re.search(r"\b(?:want|need)\b", why, re.IGNORECASE)):
        return None, ""
    return (text[: found.start()] + text[found.end() :]).strip(" ,"), known


def cancel_reason(words: str) -> str:
    """The handbook's reason that the words state; empty when they state none, or both."""
    mistake = re.search(
        r"\bby mistake|\ba mistake|\bby accident|\baccidental|\b(?:ordered|bought) (?:it |them )?wrongly",
        words,
        re.IGNORECASE,
    )
    needless = re.search(
        r"\b(?:no longer|not|don't|do not|doesn't|aren't|isn't) (?:\w+ )?(?:need|want)(?:ed|s)?\b"
        r"(?=\W*(?:$|(?:any ?more|any longer|now|either|and|or|but|so)\b"
        r"|(?:it|them|this|that|these|those|both|all|the|your|either)\b(?! (?:to|in|on|for|as|by|at)\b)))",
        words,
        re.IGNORECASE,
    )
    if re.search(r"\bnot (?:ordered |bought )?(?:by|a) (?:mistake|accident)", words, re.IGNORECASE):
        return ""
    if bool(mistake) == bool(needless):
        return ""
    return "ordered by mistake" if mistake else "no longer needed"


def payment(text: str) -> tuple[str, list[str]]:
    """The text without its words about where money goes, and the method."""
    text = _BACK.sub("", text)
    paid = _PAY.search(text)
    return (text[: paid.start()].strip(" ,"), [paid["pay"].strip()]) if paid else (text, [])


def one_order(text: str) -> tuple[str, str] | None:
    """The text without its order number, and the number; None when there are two."""
    ids = order_ids(text)
    if len(ids) > 1:
        return None
    return " ".join(_ORDER.sub(" ", text).split()).strip(" ,"), ids[0] if ids else ""


def order_ids(text: str) -> list[str]:
    """The order numbers in the text, each once."""
    return [f"#{one}" for one in dict.fromkeys((a or b).upper() for a, b in _ORDER.findall(text))]


def per_order(text: str) -> list[tuple[str, str]] | None:
    """`A and B from order #1, and C from #2` → each list with its order; None when it is not put like that."""
    parts: list[tuple[str, str]] = []
    start = 0
    for found in _ORDER.finditer(text):
        phrase = re.sub(r"^\s*(?:,|and|;)*\s*(?:and\s+)?", "", text[start : found.start()]).strip(" ,")
        if not phrase:
            return None
        parts.append((phrase, f"#{(found.group(1) or found.group(2)).upper()}"))
        start = found.end()
    return parts if parts and not text[start:].strip(" ,.") else None


def beyond(text: str) -> tuple[str, str] | None:
    """`A from order #1 and B` → `A from order #1` and `B`, of which it is not said that it is in that order; None when all is."""
    found = _ORDER.search(text)
    if not found or not re.search(r"\w", text[: found.start()]):
        return None
    rest = re.match(
        r"\s*(?:,\s*)?(?:and\s+)?(?:also\s+)?(?=(?:the|your|an?|both|one)\b)(?P<more>.+)$",
        text[found.end() :],
        re.IGNORECASE,
    )
    return (text[: found.end()], rest["more"]) if rest else None


def listed(phrase: str) -> list[str]:
    """`the lamp, a watch and both mugs` → its parts. Options in `{...}` are not cut."""
    phrase = re.sub(r"^(?:the following|these)(?: (?:items|things))?:?\s*", "", phrase.strip(" ,:"))
    phrase = re.sub(r"(?<=\w),\s*(?:all|both)$", "", phrase)  # `the lamp and the mug, both from order #W1`
    counted = _COUNTED.match(phrase)
    parts = re.split(
        r"[,;]\s*(?:and\s+)?(?![^{]*\})|\s+and\s+(?![^{]*\})|\s*&\s*",
        counted["things"] if counted else phrase,
    )
    found = [re.sub(r"^also ", "", part.strip()) for part in parts if part.strip()]
    if counted and _NUMBERS.index(counted["number"].lower()) + 2 != len(found):
        return [phrase]  # says another number than it names
    return found
