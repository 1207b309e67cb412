"""Meshwright: run a team of agents in production. This is the front door; everything else is a room behind it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshwright.agent import Agent, Job
    from meshwright.budget import Budget
    from meshwright.deadline import Deadline
    from meshwright.errors import MeshError, ToolRefused
    from meshwright.findings import Claim, Evidence, Finding, Gap, Proposal, Subtask
    from meshwright.process import serve, serve_tools
    from meshwright.toolserver import ToolServer

__all__ = [
    "Agent",
    "Budget",
    "Claim",
    "Deadline",
    "Evidence",
    "Finding",
    "Gap",
    "Job",
    "MeshError",
    "Proposal",
    "Subtask",
    "ToolRefused",
    "ToolServer",
    "serve",
    "serve_tools",
]

_ROOMS = {
    "agent": ("Agent", "Job"),
    "budget": ("Budget",),
    "deadline": ("Deadline",),
    "errors": ("MeshError", "ToolRefused"),
    "findings": ("Claim", "Evidence", "Finding", "Gap", "Proposal", "Subtask"),
    "process": ("serve", "serve_tools"),
    "toolserver": ("ToolServer",),
}


def __getattr__(name: str) -> Any:
    """Open a room when something of it is asked for: `import meshwright` alone costs nothing."""
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(import_module(f"meshwright.{room}"), name)
    raise AttributeError(f"meshwright has no {name}; it has {', '.join(__all__)}")
