"""The message read sentence by sentence: what each adds to, or changes in, what was read before it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from triage import addresses, conditions, questions, requests
from triage.conditions import plain
from triage.manner import changes_nothing, is_mood, stated
from triage.parts import Parts
from triage.requests import Request

_ABOUT = re.compile(
    r"^(?:(?:for|in|from|with|about|on|regarding|concerning) (?:the |your )?(?:order )?(?P<a>#?W\d{4,})(?:[,:] | (?=you ))|you (?:have )?received (?:the |your )?order "
    r"(?P<b>#?W\d{4,}) and )(?=you |want |wish |please |return |exchange |modify |change |cancel )",
    re.IGNORECASE,
)
_FOR_THING = re.compile(
    r"^for (?:the|your) (?P<thing>(?!orders?\b)[\w -]+), you (?:would like|want|wish) to (?:exchange|change|modify"
    r"|switch|swap|upgrade) (?:it )?(?:to|for|into) (?P<wish>.+)$",
    re.IGNORECASE,
)
#: `you want it in red`, after the thing was named and not what it is to become.
_WISHED = re.compile(
    r"^you (?:would )?(?:want|like|prefer|are looking for)(?: (?:it|the new one|the replacement)(?: to (?:be|have))?)?"
    r" (?!to\b)(?P<wish>.+)$",
    re.IGNORECASE,
)
_MORE_SWAPS = re.compile(
    r"^(?:one |another |the |your )?[\w -]+ \{[^}]*\} (?:to|for|into|with) .*\{[^}]*\}.*$", re.I
)
_MORE_ITEMS = re.compile(r"^(?:one |another |the |your )?[\w -]+ \{[^}]*\}$", re.IGNORECASE)
#: `you no longer need the mug, so please cancel it`: a request, with its reason before it.
_UNWANTED = (
    r"you (?:no longer|do not|don't) (?:need|want) (?P<thing>(?:the |your |order )(?!to\b)[#\w' -]{1,80}?)(?: any ?more| any longer)?"
    r"|you (?P<wrongly>(?:accidentally |mistakenly )?(?:ordered|bought|placed)) (?P<mistaken>(?:the |your |an? |order )[#\w' -]{1,80}?)"
    r"(?P<by> by (?:mistake|accident))?"
)
_UNDO = (
    r"(?:please |(?:you )?(?:would )?(?:want|like) to )*(?P<verb>cancel|return|remove)"
    r" (?P<what>it|them|(?:the |your |that )?order(?: #W\d+)?)(?: from (?:the|your|that) (?:pending )?order)?"
)
_NOT_WANTED = re.compile(rf"^(?:{_UNWANTED})(?:,? (?:and|so)|,) (?:so )?{_UNDO}$", re.IGNORECASE)
_ALONE, _THEN = re.compile(rf"^(?:{_UNWANTED})$", re.IGNORECASE), re.compile(rf"^{_UNDO}$", re.IGNORECASE)
#: `the order number is #W12345`, before or after what is asked for; `#W12345` alone stood in brackets.
_NUMBER = re.compile(
    r"^(?:(?:(?:the |your )?order(?: number| id)?(?: is|:)?|(?:it|they|this|that) (?:is|are|was|were) (?:in|from|part of) (?:the |your )?"
    r"order(?: number)?) )?#(?P<id>W\d{4,})$",
    re.IGNORECASE,
)
_HEADED = re.compile(
    r"^you (?:have|(?:want|need|would like) to (?:do|make)) (?:two|three|four|some|a few|a couple of)(?: different)?"
    r" (?:requests|things|changes): (?P<rest>.+)$",
    re.IGNORECASE,
)
_ITSELF = re.compile(r"(?:it|(?:(?:the|your|this|that) )?(?:whole |entire |pending )?order)", re.IGNORECASE)
#: A condition that hangs on a sentence of its own.
_AND_IF = re.compile(
    r"^(?P<main>(?!(?:if|when|once|unless|until|as soon)\b).+?),? (?:and|but) (?P<condition>if (?:the agent|that|it|this|there|not)\b.+)$",
    re.IGNORECASE,
)
_SAME_ORDER = re.compile(r"^(?P<what>.+?) (?:in|from|of) (?:the same|that same|that) order$", re.IGNORECASE)
_ORDERED_WITH = re.compile(r" you ordered with (?P<other>.+)$")
_ONE = re.compile(r"\bones?\b", re.IGNORECASE)
_PRONOUNS = ("it", "them", "both", "both of them", "these", "those", "that")


@dataclass
class Reading:
    """One message being read. `topic` is the thing that `it` and `one` stand for."""

    parts: Parts = field(default_factory=Parts)
    topic: str = ""
    paid_with: str = ""
    moods: list[str] = field(default_factory=list)
    number: str = ""
    latest: list[Request] = field(default_factory=list)

    @property
    def requests(self) -> list[Request]:
        return self.parts.requests

    def sentence(self, sentence: str) -> None:
        """Read one sentence; what is not understood of it is unread."""
        if number := _NUMBER.match(sentence):
            self._numbered(sentence, f"#{number['id'].upper()}")
            return
        before = list(self.requests)
        self._sentence(sentence)
        self.latest = [request for request in self.requests if request not in before]
        if self.latest and self.number:
            self._numbered(self.number, self.number)
            self.number = ""

    def _numbered(self, sentence: str, order_id: str) -> None:
        """Of which order the thing is that was asked for just before, or will be next."""
        if not self.requests:
            self.parts.unread += [sentence] if self.number not in ("", order_id) else []
            self.number = order_id
        elif not self.latest or any(request.order_id not in ("", order_id) for request in self.latest):
            self.parts.unread.append(sentence)
        for request in self.latest:
            of_it = not request.order_id and len(request.items) == 1 and _ITSELF.fullmatch(request.items[0])
            request.order_id = request.order_id or order_id
            if of_it and request.do in ("cancel", "return"):
                request.whole = request.do == "cancel"
                request.items = [] if request.whole else ["everything"]

    def _sentence(self, sentence: str) -> None:
        if conditions.apply(sentence, self.requests):
            self.paid_with = sentence if conditions.is_payment(sentence) else self.paid_with
            return
        if addresses.is_hint(sentence):
            return
        if unwanted := _NOT_WANTED.match(sentence):
            sentence = _as_request(unwanted) or sentence
        if headed := _HEADED.match(sentence):
            rest = headed["rest"]
            sentence = rest if rest.lower().startswith("you ") else f"you want to {rest}"
        new, replaces = conditions.at_confirmation(sentence)
        if new:
            self._at_confirmation(sentence, new, replaces)
            return
        if tail := _AND_IF.match(sentence):
            self.sentence(tail["main"])
            self.sentence(tail["condition"])
            return
        if question := questions.read(sentence):
            self.parts.questions.append(question)
            return
        if sentence.endswith("?"):
            self.parts.unread.append(sentence)  # a question that holds more than a question
            return
        about = _ABOUT.match(sentence)
        order_id = ""
        if about:
            order_id = "#" + (about["a"] or about["b"]).lstrip("#").upper()
            rest = sentence[about.end() :]
            sentence = rest if rest.lower().startswith("you ") else f"you {rest}"
            sentence = re.sub(r"^you (?=return|exchange|modify|change|cancel)", "you want to ", sentence)
            sentence = re.sub(r"^you please ", "you want to ", sentence)
        for clause in [sentence] if addresses.read(sentence, order_id) else requests.clauses(sentence):
            self._clause(clause, order_id)

    def close(self) -> None:
        """What the message as a whole leaves open."""
        for request in [r for r in self.requests if r.do == "swap" and not r.wish]:
            self.requests.remove(request)
            later = {plain(item) for r in self.requests if r.do == "swap" for item in r.items}
            if not request.items or not {plain(item) for item in request.items} <= later:
                self.parts.unread.append(request.words)
        if self.requests:  # `is it too late to keep it?` beside a request may take it back
            acting = [question for question in self.parts.questions if question.acts]
            self.parts.unread += [question.words for question in acting]
        nouns = {_singular(plain(item).split()[-1]) for r in self.requests for item in r.items if plain(item)}
        things = nouns - {"thing", "item", "order", "one", "all", "everything"}
        self.parts.unread += [
            mood
            for mood in self.moods  # `you are happy with the kettle` that is to go back
            if things & {_singular(word) for word in re.findall(r"\w+", mood.lower())}
        ]
        money = [r for r in self.requests if r.do in ("return", "swap")]
        if self.paid_with and any(not r.pay for r in money):
            self.parts.unread.append(self.paid_with)  # said before another request: for that one too?

    def _clause(self, clause: str, order_id: str) -> None:
        if thing := stated(clause):
            self.topic = thing
            return
        asked = addresses.read(clause, order_id) or requests.read(clause) or self._more(clause)
        if asked:
            for request in asked:  # one by one: the next may be of the order of the one before
                self._add([self._about(request, order_id)])
        elif question := questions.read(clause):
            self.parts.questions.append(question)
        elif changes_nothing(clause):
            self.moods += [clause] if is_mood(clause) else []
        elif not conditions.apply(clause, self.requests):
            self.parts.unread.append(clause)

    def _add(self, asked: list[Request]) -> None:
        self.requests.extend(asked)

    def _more(self, clause: str) -> list[Request] | None:
        """A clause that goes on with the request before it: its wish, or another item with its options."""
        if found := _FOR_THING.match(clause):
            return [Request("swap", [f"the {found['thing']}"], found["wish"], words=clause)]
        last = self.requests[-1] if self.requests else None
        if last is None:
            return None
        if last.do == "swap" and not last.wish and len(last.items) == 1 and (found := _WISHED.match(clause)):
            self.requests.remove(last)
            last.wish, last.words = found["wish"], f"{last.words}. {clause}"
            return [last]
        if last.do == "swap" and "{" in last.wish and _MORE_SWAPS.match(clause):
            more = requests.read(f"exchange {clause}") or []
        elif last.do == "return" and last.items[-1].endswith("}") and _MORE_ITEMS.match(clause):
            more = requests.read(f"return {clause}") or []
        else:
            return None
        for request in more:
            request.order_id = request.order_id or last.order_id
            request.pay = request.pay or list(last.pay)
        return more or None

    def _about(self, request: Request, order_id: str) -> Request:
        """The request with what was said before put in for `it`, `one` and a missing order number."""
        if self.topic:
            noun = _singular(self.topic.split()[-1])
            request.items = [
                self.topic if item.lower() in _PRONOUNS else _ONE.sub(noun, item) for item in request.items
            ]
        request.order_id = request.order_id or order_id
        for at, item in enumerate(request.items):
            request.items[at] = self._beside(item, at, request)
        return request

    def _beside(self, item: str, at: int, request: Request) -> str:
        """`the mug from the same order` → the mug that came with what was spoken of before it."""
        found = _SAME_ORDER.match(item)
        before = request.items[:at] or (self.requests[-1].items if self.requests else [])
        beside = _ORDERED_WITH.search(before[-1]) if before else None
        if not found or not before or (len(before) > 1 and not beside) or (at == 0 and request.order_id):
            return item
        if at == 0 and self.requests[-1].order_id:
            request.order_id = self.requests[-1].order_id
        other = beside["other"] if beside else before[-1]
        what = found["what"]
        if request.order_id:
            return what
        if re.match(r"(?:all|both|every|each|any|one|two|three|another)\b", what, re.IGNORECASE):
            return item  # how many of them, of which order?
        what = what if re.match(r"(?:the|your|an?)\b", what, re.IGNORECASE) else f"the {what}"
        return f"{what} you ordered with {other}"

    def _at_confirmation(self, sentence: str, new: str, replaces: bool) -> None:
        asked = [self._about(r, "") for part in requests.clauses(new) for r in requests.read(part) or ()]
        old = [r for r in self.requests if asked and r.do == asked[0].do]
        whole = len(asked) == len(requests.clauses(new)) and bool(asked)
        if not whole or (replaces and (len(asked) != 1 or len(old) != 1)):
            self.parts.unread.append(sentence)
            return
        if replaces:
            self.requests.remove(old[0])
        for request in asked:
            request.words = sentence
        self._add(asked)


def together(sentences: list[str]) -> list[str]:
    """The sentences, each that only says why with the one after it: `you no longer need the mug. Cancel it`."""
    found: list[str] = []
    for sentence in sentences:
        if found and _THEN.match(sentence) and (reason := _ALONE.match(found[-1])) and _why(reason):
            found[-1] = f"{found[-1]}, so {sentence}"
        else:
            found.append(sentence)
    return found


def _why(unwanted: re.Match[str]) -> str:
    if unwanted["thing"]:
        return "you no longer need it"
    mistaken = unwanted["by"] or unwanted["wrongly"].lower().startswith(("accident", "mistaken"))
    return "you ordered it by mistake" if mistaken else ""


def _as_request(unwanted: re.Match[str]) -> str:
    why, thing, what = _why(unwanted), unwanted["thing"] or unwanted["mistaken"], unwanted["what"]
    if what.lower() in ("it", "them"):
        what = thing
    elif "#" not in what:
        what = thing if re.search(r"\border\b", thing) else f"the order with {thing}"
    return f"you want to {unwanted['verb']} {what} because {why}" if why else ""


def _singular(noun: str) -> str:
    return noun[:-1] if noun.endswith("s") and not noun.endswith("ss") else noun
