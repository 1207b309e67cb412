"""The desk: what becomes of a ticket. Answers to the customer, hand-overs to a person, and the end."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from desk import tickets
from meshwright.settings import Settings
from meshwright.toolserver import Call, ToolRefused, ToolServer
from shop.database import Shop
from shop.effects import apply
from shop.models import Receipt, Ticket

TicketId = Annotated[str, Field(description="the ticket's id", min_length=1, max_length=120)]
Letter = Annotated[str, Field(min_length=1, max_length=8_000)]
Line = Annotated[str, Field(min_length=1, max_length=2_000)]


def build(settings: Settings) -> ToolServer:
    """The desk of the shop at `settings.shop_path`. Raises ShopError when there is none."""
    shop = Shop(settings.shop_path)
    server = ToolServer("desk", version="0.1.0")

    @server.read
    async def get_ticket(ticket_id: TicketId) -> Ticket:
        """A ticket's state and everything that was noted on it."""
        found = await shop.read(lambda db: tickets.ticket(db, ticket_id))
        if found is None:
            raise ToolRefused(f"the desk has nothing on ticket {ticket_id} yet")
        return found

    @server.write
    async def reply(ticket_id: TicketId, text: Letter, call: Call) -> Receipt:
        """Send the customer an answer."""
        arguments = {"ticket_id": ticket_id, "text": text}
        return await apply(shop, "reply", arguments, call, lambda db: tickets.reply(db, ticket_id, text))

    @server.write
    async def escalate(ticket_id: TicketId, reason: Line, summary: Letter, call: Call) -> Receipt:
        """Hand the ticket to a person, with the reason and what is known."""
        arguments = {"ticket_id": ticket_id, "reason": reason, "summary": summary}
        return await apply(
            shop, "escalate", arguments, call, lambda db: tickets.escalate(db, ticket_id, reason, summary)
        )

    @server.write
    async def close(ticket_id: TicketId, outcome: Line, call: Call) -> Receipt:
        """End the ticket, with what came of it."""
        arguments = {"ticket_id": ticket_id, "outcome": outcome}
        return await apply(shop, "close", arguments, call, lambda db: tickets.close(db, ticket_id, outcome))

    return server
