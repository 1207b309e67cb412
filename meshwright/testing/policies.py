"""A small policy for a team of a test: its folder, with the schema written out from what its actions take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_CLOSING = {
    "reply": "ticket_id: String, text: String",
    "escalate": "ticket_id: String, reason: String, summary: String",
    "close": "ticket_id: String, outcome: String",
}
_SPEAK = """
@id("speak") @source("test") @why("the orchestrator ends the request")
permit (
  principal == Agent::"orchestrator", action in [Action::"reply", Action::"escalate", Action::"close"], resource
);
"""
_GIVEN = (
    "approvals: Long, skill: String, confidence: Long, conflict: Bool, hidden: Bool, amount?: Long,"
    " request: { unread: Long, open_ends: Long, moved_cents: Long }"
)


def policy_in(
    folder: Path,
    *,
    rules: str = "",
    actions: Mapping[str, str] | None = None,
    told: Mapping[str, str] | None = None,
    facts: str = "",
    speaks: bool = True,
) -> Path:
    """Write a policy into `folder` and return it.

    `rules` is Cedar, `actions` the arguments of each action as Cedar types (`thing_id: String`), `told` the type of each fact
    (`{ price?: Long }`), `facts` what `facts.toml` says of them. Who `speaks` may answer, hand over and close.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seen = "".join(f", {name}?: {type_}" for name, type_ in (told or {}).items())
    schema = "entity Agent;\nentity Run;\n"
    for action, arguments in {**(_CLOSING if speaks else {}), **(actions or {})}.items():
        sources = ", ".join(f"{name}?: String" for name in re.findall(r"(\w+)\??:", arguments))
        context = f"{_GIVEN}, provenance: {{ {sources} }}{seen}, proposal: {{ {arguments} }}"
        schema += (
            f"action {action} appliesTo {{ principal: Agent, resource: Run, context: {{ {context} }} }};\n"
        )
    (folder / "team.cedarschema").write_text(schema)
    (folder / "team.cedar").write_text((_SPEAK if speaks else "") + rules)
    (folder / "facts.toml").write_text(facts + ("\n[closing]\n" if speaks else ""))
    return folder
