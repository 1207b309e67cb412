"""Triage: cuts a ticket into parts that specialists can answer, and says honestly what it could not read."""

from __future__ import annotations

import re

from meshwright.agent import Agent, Job
from meshwright.findings import Split, Subtask
from triage import identity
from triage.clauses import sentences
from triage.parts import Parts
from triage.reading import Reading, together

INSTRUCTIONS = """\
You split a customer's message to a shop into subtasks for specialists. Name who is writing in `subject`
(name, zip, email, customer_id), as they wrote it. Give every request to the skill that handles it; put
into `details` only what the message says. Whatever you are not sure to have understood (conditions,
changes of mind, secrets, contradictions) goes word for word into `unread`: then a person reads the
ticket, which is right. Never guess. You change nothing and promise nothing."""


async def playbook(subtask: Subtask, job: Job) -> Split:
    """Read the message by rules; what no rule reads is `unread`."""
    return split(subtask.instruction)


def split(text: str) -> Split:
    """The message as a Split."""
    reading = Reading()
    for sentence in together(sentences(text)):
        rest = introduction(sentence, reading.parts) if identity.introduces(sentence) else sentence
        if rest:
            reading.sentence(rest)
    reading.close()
    return reading.parts.split()


def introduction(sentence: str, parts: Parts) -> str:
    """Take up who is writing; what the sentence says beyond that is given back."""
    marks = identity.read(sentence)
    if any(parts.subject.get(key, value) != value for key, value in marks.items()):
        parts.unread.append(sentence)  # somebody else: one customer per message
        return ""
    if identity.only_introduces(sentence):
        parts.subject.update(marks)
        return ""
    cut = re.split(r"(?:,| and|, and) (?=you (?:want|need|would))", sentence, maxsplit=1)
    if len(cut) < 2 or not identity.only_introduces(cut[0]):
        parts.subject.update(marks)
        parts.unread.append(sentence)
        return ""
    parts.subject.update(identity.read(cut[0]))
    return cut[1]


AGENT = Agent("triage", playbook=playbook, instructions=INSTRUCTIONS, answers=Split)
