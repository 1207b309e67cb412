"""An agent's card: read from its file, checked, and stamped with the address it is served under."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from meshwright.extension import canonical

if TYPE_CHECKING:
    from a2a.types import AgentCard

MAX_BYTES = 262_144
PROTOCOL_VERSION = "1.0"
#: Where the two bindings live, below an agent's base address.
JSONRPC_PATH, REST_PATH = "/", "/rest"
BINDINGS = ("JSONRPC", "HTTP+JSON")


class CardError(Exception):
    """A card cannot be used; the message says what to change in it."""


def load_card(file: Path) -> AgentCard:
    """Read and check a card file, which names no address. Raises CardError, naming the file."""
    try:
        card = parse_card(json.loads(file.read_text()))
    except FileNotFoundError:
        raise CardError(f"there is no card {file}: write one, or `meshwright new agent NAME`") from None
    except ValueError:
        raise CardError(f"{file} is not JSON") from None
    except CardError as error:
        raise CardError(f"{file}: {error}") from None
    if card.supported_interfaces:
        raise CardError(f"{file} names an address; addresses are settings (MESHWRIGHT_PUBLIC_URL)")
    return card


def parse_card(document: Any) -> AgentCard:
    """From JSON to a card that can be routed by. Raises CardError.

    Fields this version does not know are ignored, as the specification asks; those it needs must be there.
    """
    from a2a.types import AgentCard
    from google.protobuf.json_format import ParseDict, ParseError

    if not isinstance(document, dict):
        raise CardError("a card is a JSON object")
    try:
        card = ParseDict(document, AgentCard(), ignore_unknown_fields=True)
    except ParseError as error:
        raise CardError(f"not an A2A 1.0 agent card: {error}") from None
    for name in ("name", "description", "version"):
        if not getattr(card, name).strip():
            raise CardError(f"the card needs a {name}")
    if not card.skills:
        raise CardError("the card offers no skill")
    ids = [skill.id for skill in card.skills]
    for skill in card.skills:
        if not (skill.id.strip() and skill.name.strip() and skill.description.strip()):
            raise CardError(f"skill {skill.id!r} needs an id, a name and a description")
    if len(set(ids)) != len(ids):
        raise CardError("two skills have the same id")
    return card


def check_addresses(card: AgentCard, origin: str) -> None:
    """Raises CardError unless the card has an interface that we speak and all it names are on the origin it came from.

    A card that points elsewhere would make us send a customer's words, and our token, to a host nobody configured.
    """
    usable = [i for i in card.supported_interfaces if i.protocol_binding in BINDINGS]
    if not usable:
        raise CardError(f"the card has no interface of {' or '.join(BINDINGS)}")
    if not any(i.protocol_version.split(".")[0] == "1" for i in usable):
        raise CardError("the card has no interface of protocol version 1.x")
    for interface in usable:
        if _origin(interface.url) != _origin(origin):
            raise CardError(f"the card came from {_origin(origin)} and points to {_origin(interface.url)}")


def stamped(card: AgentCard, base: str) -> AgentCard:
    """A copy of `card` with its interfaces under the address `base`."""
    from a2a.types import AgentCard, AgentInterface

    base = base.rstrip("/")
    copy = AgentCard()
    copy.CopyFrom(card)
    del copy.supported_interfaces[:]
    for binding, path in (("JSONRPC", JSONRPC_PATH), ("HTTP+JSON", REST_PATH)):
        copy.supported_interfaces.append(
            AgentInterface(url=base + path, protocol_binding=binding, protocol_version=PROTOCOL_VERSION)
        )
    return copy


def to_json(card: AgentCard) -> dict[str, Any]:
    """The card as it goes over the wire."""
    from google.protobuf.json_format import MessageToDict

    return dict(MessageToDict(card))


def etag(document: dict[str, Any]) -> str:
    """A weak entity tag of a card's content."""
    return f'W/"{hashlib.sha256(canonical(document).encode()).hexdigest()[:32]}"'


def _origin(address: str) -> str:
    parts = urlsplit(address)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return f"{parts.scheme}://{parts.hostname}:{port}"
