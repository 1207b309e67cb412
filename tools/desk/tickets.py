"""What happens to a ticket at the desk, inside a transaction that the caller holds.

The desk hears of a ticket for the first time when something is done for it, so the first note opens it.
"""

from __future__ import annotations

import sqlite3
from typing import Literal

from meshwright.errors import ToolRefused
from shop.effects import Outcome, now
from shop.models import Ticket, TicketNote, TicketState


def ticket(db: sqlite3.Connection, ticket_id: str) -> Ticket | None:
    """The ticket with all its notes, or None when the desk has not heard of it."""
    row = db.execute("SELECT * FROM tickets WHERE ticket_id = ?", (ticket_id,)).fetchone()
    if row is None:
        return None
    notes = db.execute("SELECT * FROM ticket_notes WHERE ticket_id = ? ORDER BY seq", (ticket_id,))
    return Ticket(
        ticket_id=row["ticket_id"],
        state=row["state"],
        notes=[TicketNote(kind=n["kind"], text=n["text"], at=n["at"]) for n in notes],
    )


def reply(db: sqlite3.Connection, ticket_id: str, text: str) -> Outcome:
    """Answer the customer. A ticket that waits for a person, or is closed, stays so."""
    state = _state(db, ticket_id)
    after: TicketState = "answered" if state == "open" else state
    _note(db, ticket_id, "reply", text, after)
    return Outcome(f"The customer was answered on ticket {ticket_id}.", after)


def escalate(db: sqlite3.Connection, ticket_id: str, reason: str, summary: str) -> Outcome:
    """Give the ticket to a person; one that was closed is open again."""
    _note(db, ticket_id, "escalation", f"{reason}\n\n{summary}".strip(), "escalated")
    return Outcome(f"Ticket {ticket_id} waits for a person: {reason}", "escalated")


def close(db: sqlite3.Connection, ticket_id: str, outcome: str) -> Outcome:
    """End the ticket. Raises ToolRefused when it is closed already."""
    if _state(db, ticket_id) == "closed":
        raise ToolRefused(f"ticket {ticket_id} is closed already")
    _note(db, ticket_id, "closing", outcome, "closed")
    return Outcome(f"Ticket {ticket_id} is closed: {outcome}", "closed")


def _state(db: sqlite3.Connection, ticket_id: str) -> TicketState:
    found = ticket(db, ticket_id)
    return found.state if found else "open"


def _note(
    db: sqlite3.Connection,
    ticket_id: str,
    kind: Literal["reply", "escalation", "closing"],
    text: str,
    state: TicketState,
) -> None:
    db.execute(
        "INSERT INTO tickets VALUES (?, ?) ON CONFLICT (ticket_id) DO UPDATE SET state = excluded.state",
        (ticket_id, state),
    )
    seq = db.execute("SELECT count(*) FROM ticket_notes WHERE ticket_id = ?", (ticket_id,)).fetchone()[0]
    db.execute("INSERT INTO ticket_notes VALUES (?, ?, ?, ?, ?)", (ticket_id, seq + 1, kind, text, now()))
