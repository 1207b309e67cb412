"""Requests about addresses: which address is to change, and where the new one is to be taken from.

An address is taken from what is written in the message, from the profile (`default`), from a named order,
or from the one place among the customer's addresses that fits a name (`my NYC address`). Anything else is
not read.
"""

from __future__ import annotations

import re

from triage.requests import Request

_STATES = {
    "alabama": "AL", "alaska": "AK", "arizona": "AZ", "arkansas": "AR", "california": "CA",
    "colorado": "CO", "connecticut": "CT", "delaware": "DE", "florida": "FL", "georgia": "GA",
    "hawaii": "HI", "idaho": "ID", "illinois": "IL", "indiana": "IN", "iowa": "IA", "kansas": "KS",
    "kentucky": "KY", "louisiana": "LA", "maine": "ME", "maryland": "MD", "massachusetts": "MA",
    "michigan": "MI", "minnesota": "MN", "mississippi": "MS", "missouri": "MO", "montana": "MT",
    "nebraska": "NE", "nevada": "NV", "new hampshire": "NH", "new jersey": "NJ", "new mexico": "NM",
    "new york": "NY", "north carolina": "NC", "north dakota": "ND", "ohio": "OH", "oklahoma": "OK",
    "oregon": "OR", "pennsylvania": "PA", "rhode island": "RI", "south carolina": "SC",
    "south dakota": "SD", "tennessee": "TN", "texas": "TX", "utah": "UT", "vermont": "VT", "virginia": "VA",
    "washington": "WA", "west virginia": "WV", "wisconsin": "WI", "wyoming": "WY",
    "district of columbia": "DC",
}  # fmt: skip
_WRITTEN = re.compile(
    r"^(?P<address1>\d+ [\w .'-]+?), (?:(?P<address2>(?:suite|apt\.?|apartment|unit|flat|floor) ?#?\w+), )?"
    r"(?P<city>[A-Za-z .'-]+), (?P<state>[A-Za-z ]+),? (?P<zip>\d{5})(?:,? (?P<country>usa|united states))?$",
    re.IGNORECASE,
)
_LEAD = (
    r"^(?:you (?:also )?(?:would )?(?:want|wish|need|like) to |to |please )?(?:also )?(?:change|modify"
    r"|update|correct|switch|set) "
)
_WANT = r"you (?:also |would )?(?:want|need|like|wish) "
_FORMS = (
    re.compile(
        _LEAD + r"(?:the |your )?(?:shipping |delivery )?address (?:of|for|on|in) (?P<what>.+?) (?:to|with) "
        r"(?P<to>.+)$",
        re.IGNORECASE,
    ),
    re.compile(
        _LEAD + r"(?P<what>(?:the |your )[\w -]*order) to (?P<to>(?:your|the) .*(?:address|home))$",
        re.IGNORECASE,
    ),
    re.compile(
        _LEAD + r"(?P<what>(?:the |your )?)(?:shipping |delivery )?address (?:to|to be) (?P<to>.+)$",
        re.IGNORECASE,
    ),
    re.compile(
        rf"^(?:{_WANT}to |please )?(?:send|ship|deliver) (?P<what>(?:the |your )?order #W\d+) to (?P<to>.+)$",
        re.IGNORECASE,
    ),
    re.compile(
        rf"^(?:{_WANT}(?:to )?(?:(?:have|change|modify|update) )?|please (?:have|change|modify|update) )"
        r"(?P<what>(?:the |your )?order #W\d+) (?:to be )?(?:shipped|sent|delivered) to (?P<to>.+)$",
        re.IGNORECASE,
    ),
)
_PROFILE = re.compile(
    _LEAD + r"your (?:(?:default|user|profile|account|home)\s?)+address(?: in your profile| on file)? (?:to"
    r"|with) (?P<to>.+)$",
    re.IGNORECASE,
)
_SAME_AS = re.compile(
    r"^(?:be )?(?:the )?same (?:address )?(?:as|with) (?:the )?(?:address )?(?:of |in |for |from "
    r")?(?:your |the )?order (?P<id>#W\d+)$"
    r"|^(?:the )?address (?:of|in|from) order (?P<id2>#W\d+)$",
    re.IGNORECASE,
)
_DEFAULT = re.compile(
    r"^(?:be )?(?:your|the) (?:default|profile|user)(?: user| profile)?(?: home| shipping)?(?: address| "
    r"home)(?: in your profile)?$",
    re.I,
)
_PLACE = re.compile(r"^(?:be )?your (?P<place>[A-Z][\w ]*?) (?:address|home)$")
_HINT = re.compile(
    r"\b(?:it is|it's|it should be|the address (?:is|should be)) (?:also )?in your (?:other order|orders? "
    r"?(?:and )?profile|(?:user )?profile|"
    r"orders? profile|orders?|account)s?$",
    re.IGNORECASE,
)
_SILENT = re.compile(
    r"^you (?:prefer not to|won't|will not|don't want to|do not want to) (?:reveal|mention|say|share) "
    r"it(?: yourself)?"
    r"(?: for private reasons)? but (?P<hint>.+)$",
    re.IGNORECASE,
)


def read(clause: str, order_id: str = "") -> list[Request] | None:
    """The address request in the clause, or None. `order_id` is the order the sentence is about, if it names
    one.
    """
    found = _PROFILE.match(clause)
    if found:
        source = source_of(found.group("to"))
        return [Request("profile_address", address=source, words=clause)] if source else None
    for form in _FORMS:
        found = form.match(clause)
        if not found:
            continue
        source = source_of(found.group("to"))
        if not source:
            return None
        what = found.group("what").strip()
        ids = re.findall(r"#W\d+", what)
        if len(ids) > 1:
            return None
        named = re.fullmatch(r"(?:the |your )?(?:order )?#W\d+", what, re.IGNORECASE)
        bare = what.lower() in ("", "the", "your")
        if bare and not order_id:
            return None
        items = [] if named or bare else [what]
        return [
            Request("readdress", items, order_id=ids[0] if ids else order_id, address=source, words=clause)
        ]
    return None


def source_of(words: str) -> dict[str, str]:
    """Where the new address comes from; empty when the words do not say in a way that is read."""
    text = re.sub(r" instead$", "", words.strip(" .,"), flags=re.IGNORECASE)
    if written := _WRITTEN.match(text):
        parts = {key: (value or "").strip() for key, value in written.groupdict().items()}
        state = parts["state"].lower()
        parts["state"] = _STATES.get(state, parts["state"].upper())
        if parts["state"] not in _STATES.values():
            return {}
        return {"from": "written", **parts, "country": "USA"}
    if same := _SAME_AS.match(text):
        return {"from": "order", "order_id": same.group("id") or same.group("id2")}
    if _DEFAULT.match(text):
        return {"from": "profile"}
    if place := _PLACE.match(text):
        name = place.group("place")
        if name.lower().startswith("default "):
            return {"from": "profile", "place": name[8:]}
        return {"from": "place", "place": name}
    if place := re.match(r"^(?:be )?your default (?P<place>[A-Z][\w ]*?) (?:address|home)$", text):
        return {"from": "profile", "place": place.group("place")}
    return {}


def is_hint(clause: str) -> bool:
    """`you prefer not to say it, but it is in your other order`: where to look; the source is known."""
    silent = _SILENT.match(clause)
    hint = re.sub(r"^(?:the )?address", "it", silent.group("hint")) if silent else clause
    hint = re.sub(r"^it should be", "it is", hint)
    return bool(silent and _HINT.search(hint))
