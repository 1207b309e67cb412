"""The audit log: what was decided, approved and done, in a chain that shows what was changed in it afterwards."""

from meshwright.audit.log import Entry, append

__all__ = ["Entry", "append"]
