"""What may be applied, what must wait for people, and what never happens: rules as data, with their source."""

from meshwright.policy.rules import Judgement, Policy

__all__ = ["Judgement", "Policy"]
