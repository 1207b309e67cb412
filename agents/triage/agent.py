"""Triage: cuts a ticket into parts that specialists can answer, and says honestly what it could not read."""

from __future__ import annotations

import re

from meshwright.agent import Agent, Job
from meshwright.findings import Split, Subtask
from triage import addresses, conditions, identity, questions, requests
from triage.clauses import changes_nothing, sentences, weighty
from triage.parts import Parts

INSTRUCTIONS = """\
You split a customer's message to a shop into subtasks for specialists. Name who is writing in `subject`
(name, zip, email, customer_id), as they wrote it. Give every request to the skill that handles it; put
into `details` only what the message says. Whatever you are not sure to have understood (conditions,
changes of mind, secrets, contradictions) goes word for word into `unread`: then a person reads the
ticket, which is right. Never guess. You change nothing and promise nothing."""

_STATED = re.compile(
    r"^you (?:just |have |recently )*(?:received|bought|ordered|got|have) (?P<thing>(?:two|three|2|3|an?"
    r"|some|the) [\w -]+?)"
    r"(?: and you only need one)?$",
    re.IGNORECASE,
)
_ABOUT = re.compile(
    r"^(?:for (?:the |your )?(?:order )?(?P<a>#W\d+), |you (?:have )?received (?:the |your )?order "
    r"(?P<b>#W\d+) and )"
    r"(?=you |want |wish |please )",
    re.IGNORECASE,
)
_ONE = re.compile(r"\bones?\b", re.IGNORECASE)


async def playbook(subtask: Subtask, job: Job) -> Split:
    """Read the message by rules; what no rule reads is `unread`."""
    return split(subtask.instruction)


def split(text: str) -> Split:
    """The message as a Split."""
    parts = Parts()
    topic = ""
    for sentence in sentences(text):
        if identity.introduces(sentence):
            marks = identity.read(sentence)
            if any(parts.subject.get(key, value) != value for key, value in marks.items()):
                parts.unread.append(sentence)  # somebody else: one customer per message
                continue
            parts.subject.update(marks)
            if identity.only_introduces(sentence):
                continue
            cut = re.split(r"(?:,| and|, and) (?=you (?:want|need|would))", sentence, maxsplit=1)
            if len(cut) < 2 or not identity.only_introduces(cut[0]):
                parts.unread.append(sentence)
                continue
            sentence = cut[1]
        topic = _read(sentence, parts, topic)
    return parts.split()


def _read(sentence: str, parts: Parts, topic: str) -> str:
    """Read one sentence into `parts`. Returns the thing that `one` and `it` stand for after it."""
    if conditions.apply(sentence, parts.requests) or addresses.is_hint(sentence):
        return topic
    about = _ABOUT.match(sentence)
    order_id = (about["a"] or about["b"]) if about else ""
    if about:
        sentence = re.sub(r"^(?=want|wish)", "you ", sentence[about.end() :])
    stated = _STATED.match(sentence)
    if stated and not weighty(stated["thing"].split(maxsplit=1)[-1]):
        return stated["thing"]
    for clause in [sentence] if addresses.read(sentence, order_id) else requests.clauses(sentence):
        stated = _STATED.match(clause)
        asked = addresses.read(clause, order_id) or requests.read(clause)
        if stated and not weighty(stated["thing"].split(maxsplit=1)[-1]):
            topic = stated["thing"]
        elif asked:
            parts.requests += [_about(request, topic, order_id) for request in asked]
        elif question := questions.read(clause):
            parts.questions.append(question)
        elif not (changes_nothing(clause) or conditions.apply(clause, parts.requests)):
            parts.unread.append(clause)
    return topic


def _about(request: requests.Request, topic: str, order_id: str) -> requests.Request:
    """The request with what was said before put in for `it`, `one` and a missing order number."""
    if topic:
        noun = _singular(topic.split()[-1])
        request.items = [topic if i in ("it", "them") else _ONE.sub(noun, i) for i in request.items]
    request.order_id = request.order_id or order_id
    return request


def _singular(noun: str) -> str:
    return noun[:-1] if noun.endswith("s") and not noun.endswith("ss") else noun


__all__ = ["AGENT", "playbook", "split", "weighty"]
AGENT = Agent("triage", playbook=playbook, instructions=INSTRUCTIONS, answers=Split)
