"""One process of a small team: who splits every request into one question, or who puts that question to a model."""

from __future__ import annotations

import sys
import warnings

from meshwright import serve
from meshwright.agent import Agent, Job
from meshwright.findings import Finding, Split, Subtask


async def split(subtask: Subtask, job: Job) -> Split:
    return Split(
        topic="price", subtasks=[Subtask(id="look", skill="order-status", instruction="What is it?")]
    )


async def by_the_book(subtask: Subtask, job: Job) -> Finding:
    return Finding(reply="by the book")


TRIAGE = Agent("triage", playbook=split, answers=Split)
ORDERS = Agent("orders", playbook=by_the_book, instructions="You look at things.")

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    serve(sys.argv[1], f"member:{sys.argv[1].upper()}")
