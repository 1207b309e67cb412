"""What each agent offers: one JSON per agent, no addresses. Where an agent runs is a setting, never a card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meshwright.card import load_card

if TYPE_CHECKING:
    from a2a.types import AgentCard


def path(name: str) -> Path:
    """Where the card of agent `name` lies."""
    return Path(__file__).parent / f"{name}.json"


def load(name: str) -> AgentCard:
    """The card of agent `name`. Raises CardError, which says what is wrong with it."""
    return load_card(path(name))


def names() -> list[str]:
    """The agents that have a card."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.json"))
