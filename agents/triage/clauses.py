"""A message in sentences, written in one person, with what stands in brackets put where it belongs.

Customers write as "I" or are described as "you"; everything behind this file reads "you".
"""

from __future__ import annotations

import re

_BEGINS = r"(?:(?<=^)|(?<=[.!?,;:] )|(?<=\n)|(?<=\b[Aa]nd )|(?<=\b[Ss]o )|(?<=\b[Bb]ut )|(?<=\b[Pp]lease ))"
_DOING = r"(?:return|exchang|cancel|chang|modif|swap|replac|refund|updat)[a-z]*?"
_PERSON = (
    (r"[’`]", "'"),
    (r"\b(?:[Cc]an|[Cc]ould|[Mm]ay) (?:I|we)\b(?=[^.!?]*\?)", "is it possible to"),
    # Said to us, so before `I` is `you`: `Will I get a refund?` and `how much will you get?` ask, and want nothing done.
    (
        _BEGINS + r"(?:[Cc]an|[Cc]ould|[Ww]ould|[Ww]ill) you (?:please )?(?!get\b|have\b|receive\b)(?=[a-z])",
        "you want to ",
    ),
    (r"\bI'm\b|\bI am\b", "you are"),
    (r"\bI've\b|\bI have\b", "you have"),
    (r"\bI'd\b", "you would"),
    (r"\bI'll\b|\bI will\b", "you will"),
    (r"\bI\b", "you"),
    (r"\bmy\b", "your"),
    (r"\bMy\b", "Your"),
    (r"\bme\b", "you"),
    (r"\bmyself\b", "yourself"),
    (r"\b(?:you|You)'d\b", "you would"),
    (r"\b(?:you|You)'re\b", "you are"),
    (r"(?:(?<=^)|(?<=[.!?] ))[Pp]lease (?=[a-z])", "you want to "),
    (rf"\b[Yy]ou (?:are (?:writing|calling|hoping) to|would love to) (?={_DOING})", "you want to "),
    (
        rf"\b(?:[Yy]ou (?:also )?(?:want|would like|need)(?: to)?|want to|to) (?:some )?help (?:with |in |to )?(?={_DOING}ing\b)",
        "you want to ",
    ),
    (r"(?<=\byou want to )(exchang|chang)ing\b", r"\1e"),
    (r"(?<=\byou want to )(return|cancel)l?ing\b", r"\1"),
    (
        r"(?:(?<=\byou want to )|(?<=\byou would like to )|(?<=\byou need to ))"
        r"(?:request|start|initiate|make|arrange) (?:an?|the) (return|refund|exchange|cancel)(?:l?ation)?(?: (?:for|of)|:) ",
        r"\1 ",
    ),
)
#: The marks of a list: `1. Return the mug. 2. Cancel the order.`
_LISTED = re.compile(r"(?:(?<=^)|(?<=\n)|(?<=[.!?:;] ))(?:\d{1,2}[.)]|[-*•]) (?=[A-Za-z])")
_HIDDEN = re.compile(r"\{[^}]*\}")
_END = re.compile(
    r"(?<=[.!?;])\s+|\n+|(?<=[a-z]\.)(?=[A-Z][a-z])|(?<=[\w\x00\x01])\s+(?=You (?:are|like|want|also|name"
    r"|have|do|just|received|no longer|recently)\b)"
)
_PAREN = re.compile(r"\s*\(([^()]*)\)")
_ASIDE = re.compile(r"\x01(\d+)\x01")
#: An aside that goes on with the phrase before it: a liking, or an option with its value.
_SPLICED = re.compile(r"^(?:prefer\w* .+|(?!in |at |on |not |only )[a-z]+ [\w.-]+)$", re.IGNORECASE)
_ORDER = re.compile(r"(?:(?:in|from) )?(?:order )?(?:number )?#(?P<id>W\d{4,})", re.IGNORECASE)
_LINK = re.compile(
    r"^(?:and|also|lastly|finally|additionally|in addition|moreover|furthermore|secondly|firstly|plus"
    r"|besides|oh|well|so|as well|but|by the way|(?:first|second|third|next)(?=,)|(?:hi|hello|hey)(?: there)?(?=[,:] \w)"
    r"|(?:after (?:that|this|all (?:that|this))|once (?:that|this|it|everything) is done|(?:at|in) the end(?: of the day)?)"
    r"(?=,? (?:you (?:also |would )?(?:want|like) to (?:know|ask|find out)|(?:you )?ask |how |what )))\b[,:]?\s*",
    re.IGNORECASE,
)
#: Why somebody writes at all; `because you no longer need it` is a reason of the handbook and stays.
_OPENING = re.compile(
    r"^(?:for some reason,? |(?:due to|because of) (?:(?:some|the|a|your|moving|financial|personal|recent|life) )+"
    r"[a-z]+(?: [a-z]+)?, (?=you |the ))",
    re.IGNORECASE,
)


def in_second_person(text: str) -> str:
    """`I want to return my lamp` → `you want to return your lamp`."""
    for pattern, written in _PERSON:
        text = re.sub(pattern, written, text)
    return text


def sentences(text: str) -> list[str]:
    """The sentences, each followed by what stood in brackets in it. `{'a': 'b'}` is never cut."""
    kept: list[str] = []
    asides: list[str] = []

    def hide(match: re.Match[str]) -> str:
        kept.append(match.group())
        return f"\x00{len(kept) - 1}\x00"

    def aside(match: re.Match[str]) -> str:
        words = match.group(1).strip()
        if number := _ORDER.fullmatch(words):
            return f" from order #{number['id']}"
        if _SPLICED.match(words):
            return f", {words}"
        asides.append(words)
        return f"\x01{len(asides) - 1}\x01"

    plain = _LISTED.sub("", re.sub(r"[ \t]+", " ", text.strip()))
    hidden = _HIDDEN.sub(hide, in_second_person(plain))
    hidden = _PAREN.sub(aside, hidden)
    parts: list[str] = []
    for part in _END.split(hidden):
        parts += [_ASIDE.sub("", part), *(asides[int(n)] for n in _ASIDE.findall(part))]
    shown = [re.sub(r"\x00(\d+)\x00", lambda m: kept[int(m.group(1))], part) for part in parts]
    cleaned = [unlinked(part) for part in shown]
    return [part for part in cleaned if re.search(r"\w", part)]


def unlinked(part: str) -> str:
    """Without the words that only link it to what was said before, and without its full stop."""
    part = part.strip().strip(".!;,").strip()
    while (shorter := _OPENING.sub("", _LINK.sub("", part))) != part:
        part = shorter.strip()
    return part.rstrip("?") if re.match(r"(?:you|You) want to (?!tell you|know)", part) else part
