"""A message in clauses: sentences cut apart, written in one person, and the harmless ones told from the rest.

Customers write as "I" or are described as "you"; everything behind this file reads "you".
"""

from __future__ import annotations

import re

_PERSON = (
    (r"\bI'm\b|\bI am\b", "you are"),
    (r"\bI've\b|\bI have\b", "you have"),
    (r"\bI'd\b", "you would"),
    (r"\bI'll\b|\bI will\b", "you will"),
    (r"\bI\b", "you"),
    (r"\bmy\b", "your"),
    (r"\bmyself\b", "yourself"),
    (r"\b(?:you|You)'d\b", "you would"),
    (r"\b(?:you|You)'re\b", "you are"),
    (r"\b(?:[Cc]an|[Cc]ould|[Ww]ould|[Ww]ill) you (?:please )?(?=[a-z])", "you want to "),
    (r"(?:(?<=^)|(?<=[.!?] ))[Pp]lease (?=[a-z])", "you want to "),
)
_HIDDEN = re.compile(r"\{[^}]*\}")
_END = re.compile(
    r"(?<=[.!?;])\s+|\n+|(?<=[a-z]\.)(?=[A-Z][a-z])|(?<=[\w\x00])\s+(?=You (?:are|like|want|also|name|have"
    r"|do)\b)"
)
_PAREN = re.compile(r"\s*\(([^()]*)\)")
_LINK = re.compile(
    r"^(?:and|also|lastly|finally|additionally|in addition|moreover|furthermore|secondly|plus|besides|oh"
    r"|so|as well)\b"
    r"[,:]?\s*",
    re.IGNORECASE,
)
#: What could change what is asked: an action, a thing, money, a condition. Else a clause is harmless.
_WEIGHTY = re.compile(
    r"\b(?:if|unless|only|but|except|excluding|apart|instead|otherwise|until|when|without|rather|prefer\w*"
    r"|mind|confirm\w*|"
    r"first|order\w*|item\w*|product\w*|thing|things|everything|anything|all|both|return\w*|cancel\w*"
    r"|exchang\w*|refund\w*|chang\w*|"
    r"modif\w*|swap\w*|replac\w*|keep\w*|upgrad\w*|switch\w*|remov\w*|add\w*|buy\w*|bought|purchas\w*"
    r"|receiv\w*|ship\w*|"
    r"deliver\w*|send\w*|sent|address\w*|pay\w*|card\w*|gift|price\w*|money|cost\w*|id|number\w*|email"
    r"|color\w*|size\w*|"
    r"want\w*|wish\w*|need\w*|would|should|must|let|sure|unsure|joking|kidding|undecided|indecisive|hesitant"
    r"|later|wait\w*|credit|voucher|coupon|discount|compensat\w*|free|wrong|"
    r"cheap\w*|expensive|it|them|one|ones|ask|asks|asked|agent|not|never|no|n't|don't|won't|\d+)\b",
    re.IGNORECASE,
)
#: Manner of speaking: how the customer is, not what they want. Taken out before a clause is weighed.
_MANNER = re.compile(
    r"(?:and )?(?:that |you )?(?:do not|don't|does not|doesn't|are reluctant to|not) (?:want|like)? "
    r"?(?:to )?(?:reveal|share|disclose|say|speak) "
    r"(?:too )?(?:much|many|any|your)?\s?(?:personal )?(?:words|information|details)?(?: about "
    r"yourself)?(?: at the same time)?"
    r"(?: unless it's absolutely necessary)?"
    r"|reveal minimal information about yourself"
    r"|(?:you )?like to (?:say|do) (?:things piecewise|one thing at a time)"
    r"|(?:(?:make sure|remember)(?: you| to)* )?(?:briefly )?\bmention (?:these|the|both|all)(?: two| "
    r"three)?(?: things?| requests?| problems?)? "
    r"(?:together|at the same time|at once)(?: in the same order)?"
    r"|want to make sure everything is addressed in one go|get (?:both )?things done|want (?:the refund|it"
    r"|this|everything)(?: done)? as soon as possible",
    re.IGNORECASE,
)
_GREETING = re.compile(
    r"^(?:hi|hello|hey|dear \w+|good (?:morning|evening|day)|thanks?(?: you)?(?: so much| very much| a lot"
    r"| in advance)?|"
    r"regards|best|cheers|please help|it is urgent|this is urgent|you have (?:a couple|two|three|some|a "
    r"few) requests?)\b[\w ,:]*$",
    re.IGNORECASE,
)
_MOOD = re.compile(
    r"^(?:you (?:are|like|seem|feel|tend|sound|live|reside)|be|your (?:memory"
    r"|mood))\b",
    re.IGNORECASE,
)
_SOFT = re.compile(r"\b(?:but|not|never|first|things?|all|both|everything|anything)\b", re.IGNORECASE)
_UNKNOWN = re.compile(
    r"^you (?:do not|don't|cannot|can't) (?:remember|know|recall|have) (?:the|your|any) (?:order|item"
    r"|tracking)?\s?"
    r"(?:numbers?|ids?|dates?)(?: of [\w ]+)?$",
    re.IGNORECASE,
)
_CONFIRMED = re.compile(
    r"^if (?:the agent asks|you are asked|asked)(?: you)? (?:for|to) (?:final |your )?(?:confirmation"
    r"|confirm|verify|verification)"
    r"(?: anything| the details)?,? (?:you )?(?:say yes|confirm|agree|you confirm)$",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(r"^in (?:another|a different) order$", re.IGNORECASE)
_OPENING = re.compile(r"^for some reason,? ", re.IGNORECASE)


def in_second_person(text: str) -> str:
    """`I want to return my lamp` → `you want to return your lamp`."""
    for pattern, written in _PERSON:
        text = re.sub(pattern, written, text)
    return text


def sentences(text: str) -> list[str]:
    """The sentences, then what stood in brackets between them. `{'a': 'b'}` is never cut."""
    kept: list[str] = []

    def hide(match: re.Match[str]) -> str:
        kept.append(match.group())
        return f"\x00{len(kept) - 1}\x00"

    hidden = _HIDDEN.sub(hide, in_second_person(re.sub(r"[ \t]+", " ", text.strip())))
    asides = _PAREN.findall(hidden)
    parts = [*_END.split(_PAREN.sub("", hidden)), *asides]
    shown = [re.sub(r"\x00(\d+)\x00", lambda m: kept[int(m.group(1))], part) for part in parts]
    cleaned = [unlinked(part) for part in shown]
    return [part for part in cleaned if re.search(r"\w", part)]


def unlinked(part: str) -> str:
    """Without the words that only link it to what was said before, and without its full stop."""
    part = part.strip().strip(".!;,").strip()
    while (shorter := _OPENING.sub("", _LINK.sub("", part))) != part:
        part = shorter.strip()
    return part


def changes_nothing(clause: str) -> bool:
    """Whether the clause names no action, thing, sum or condition, so that it cannot alter a request."""
    if any(form.match(clause) for form in (_GREETING, _ELSEWHERE, _UNKNOWN, _CONFIRMED)):
        return True
    rest = _MANNER.sub(" ", clause)
    if not re.search(r"\w{3}", re.sub(r"\byou\b|\band\b", "", rest)):
        return True
    return bool(_MOOD.match(clause)) and not weighty(_SOFT.sub(" ", rest))


def weighty(text: str) -> bool:
    """Whether something in it could change what is asked."""
    return bool(_WEIGHTY.search(text))
