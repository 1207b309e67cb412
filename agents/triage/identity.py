"""Who is writing, in their own words. Whether it is true is for others to check."""

from __future__ import annotations

import re

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_USER = re.compile(r"\b[a-z]+_[a-z]+_\d{3,5}\b")
_ZIP = re.compile(r"(?<![\w#])\d{5}(?!\d)")
_NAME = re.compile(
    r"\b(?:you are|your name is|you name is|this is|name:)\s+((?:[A-Z][\w'’-]+\s?){2,3})", re.IGNORECASE
)
_INTRO = re.compile(
    r"^(?:you are|your name is|you name is|this is|your (?:user )?id is|your e-?mail|your zip)\b", re.I
)
_MORE = re.compile(
    r"^(?:you live|you reside|your (?:user )?id|your e-?mails?|your zip|you have two emails)\b", re.I
)
_PLAIN = re.compile(
    r"\b(?:and|you|your|you're|are|is|name|user|id|e-?mails?|living|live|lives|residing|in|at|with|from|of"
    r"|the|zip|zipcode|code|"
    r"usa|us|this|a|have|two|address|customer)\b",
    re.IGNORECASE,
)


def introduces(sentence: str) -> bool:
    """Whether the sentence says who is writing: it opens so, and holds a name, zip, e-mail or user id."""
    if _EMAIL.fullmatch(sentence):
        return True
    if _MORE.match(sentence) and not _EMAIL.search(sentence) and not _ZIP.search(sentence):
        return False
    if not (_INTRO.match(sentence) or _MORE.match(sentence)):
        return False
    return bool(_EMAIL.search(sentence) or _ZIP.search(sentence) or _USER.search(sentence) or _name(sentence))


def only_introduces(sentence: str) -> bool:
    """Whether nothing else is in it: besides marks and link words, only names of people and places."""
    if len(_ZIP.findall(sentence)) > 1:
        return False
    rest = _ZIP.sub(" ", _USER.sub(" ", _EMAIL.sub(" ", sentence)))
    rest = _PLAIN.sub(" ", rest)
    return all(word[0].isupper() or word.isdigit() for word in re.findall(r"[\w'’-]+", rest))


def read(sentence: str) -> dict[str, str]:
    """The marks in the sentence. Several e-mails are kept (`email`, `email2`, `email3`): one may be mistyped.

    More than three are kept together in `email3`, where they name nobody.
    """
    emails = list(dict.fromkeys(_EMAIL.findall(sentence)))
    marks = {
        "email": emails[0] if emails else "",
        "email2": emails[1] if len(emails) > 1 else "",
        "email3": " ".join(emails[2:]),
        "customer_id": next(iter(_USER.findall(_EMAIL.sub(" ", sentence))), ""),
        "zip": next(iter(_ZIP.findall(sentence)[-1:]), ""),
        "name": _name(sentence),
    }
    return {key: value for key, value in marks.items() if value}


def _name(sentence: str) -> str:
    found = _NAME.search(sentence)
    if not found:
        return ""
    parts = found.group(1).split()
    while parts and not parts[-1][0].isupper():
        parts.pop()
    return " ".join(parts) if len(parts) > 1 and parts[0][0].isupper() else ""
