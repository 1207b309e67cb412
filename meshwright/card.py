"""An agent's card: read from its file, checked, and stamped with the address it is served under."""

from __future__ import annotations

import hashlib
import json
from codecs import BOM_UTF8
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic_core import from_json

from meshwright.extension import canonical
from meshwright.settings import SettingsError
from meshwright.shipped import shipped

if TYPE_CHECKING:
    from a2a.types import AgentCard, AgentInterface

MAX_BYTES = 262_144
#: Characters of a card's name and of a skill's id: they stand in plans, reports and errors.
MAX_NAME = 120
PROTOCOL_VERSION, LEGACY_VERSION = "1.0", "0.3"
#: Where the two bindings live, below an agent's base address.
JSONRPC_PATH, REST_PATH = "/", "/rest"
BINDINGS = ("JSONRPC", "HTTP+JSON")
GRPC = "GRPC"
#: What a card file may list: each binding with the version it is served in.
SERVED = (
    *((binding, PROTOCOL_VERSION) for binding in (*BINDINGS, GRPC)),
    *((binding, LEGACY_VERSION) for binding in BINDINGS),
)


class CardError(Exception):
    """A card cannot be used; the message says what to change in it."""


def load_card(file: Path) -> AgentCard:
    """Read and check a card file. It may list the interfaces it is served by, without addresses.

    Raises CardError, naming the file.
    """
    try:
        card = parse_card(json.loads(file.read_text()))
        _check_listed(card)
    except FileNotFoundError:
        raise CardError(f"there is no card {file}: write one, or `meshwright new agent NAME`") from None
    except ValueError:
        raise CardError(f"{file} is not JSON") from None
    except CardError as error:
        raise CardError(f"{file}: {error}") from None
    return card


def card_of(name: str) -> AgentCard:
    """The card of agent `name`. Raises SettingsError, so that a process with a bad card says so and does not start."""
    try:
        return load_card(shipped("agent_cards", f"{name}.json"))
    except CardError as error:
        raise SettingsError(str(error)) from None


def _check_listed(card: AgentCard) -> None:
    listed = [(i.protocol_binding, i.protocol_version) for i in card.supported_interfaces]
    if any(interface.url for interface in card.supported_interfaces):
        raise CardError("it names an address; addresses are settings (MESHWRIGHT_PUBLIC_URL)")
    for binding, version in listed:
        if (binding, version) not in SERVED:
            known = ", ".join(" ".join(pair) for pair in SERVED)
            raise CardError(f"the interface {binding!r} {version!r} is not served; these are: {known}")
    if listed and not {(binding, PROTOCOL_VERSION) for binding in BINDINGS} & set(listed):
        raise CardError(
            f"it must list JSONRPC or HTTP+JSON of version {PROTOCOL_VERSION}, which the mesh speaks"
        )


def read_card(body: bytes, url: str) -> AgentCard:
    """The card that came from `url`. Raises CardError."""
    try:
        # which says of what is nested too deep that it is no JSON, and knows no byte order mark
        document = from_json(body.removeprefix(BOM_UTF8))
    except ValueError:
        raise CardError("the card is not JSON") from None
    card = parse_card(document)
    check_addresses(card, url)
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
    for said in (card.name, *ids):
        if len(said) > MAX_NAME or not said.isprintable():
            raise CardError(
                f"a name is one line of at most {MAX_NAME} characters that can be seen: {said[:40]!r}"
            )
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
    for interface in card.supported_interfaces:
        try:
            at_home = _at_home(interface, origin)
        except ValueError:
            at_home = False
        if not at_home:
            raise CardError(f"the card came from {_origin(origin)} and points to {interface.url[:200]}")


def _at_home(interface: AgentInterface, origin: str) -> bool:
    if interface.protocol_binding in BINDINGS:
        return _origin(interface.url) == _origin(origin)
    if interface.protocol_binding == GRPC:  # host:port without a scheme, and the port is not that of HTTP
        return urlsplit("//" + interface.url.rpartition("://")[2]).hostname == urlsplit(origin).hostname
    return True


def serves(card: AgentCard, binding: str, version: str = "") -> bool:
    """Whether the card lists `binding`; with a version, in that version."""
    return any(
        i.protocol_binding == binding and (not version or i.protocol_version == version)
        for i in card.supported_interfaces
    )


def offered(card: AgentCard, grpc_port: int) -> AgentCard:
    """A copy of a file's card that lists what this process serves: what the file lists, else all of 1.0.

    gRPC is served, and listed, while it has a port. Raises SettingsError for a port that the card has no use for.
    """
    copy = _copy(card)
    if not copy.supported_interfaces:
        copy.supported_interfaces.extend(_defaults(*BINDINGS, GRPC))
    if grpc_port and not serves(copy, GRPC):
        raise SettingsError(f"MESHWRIGHT_GRPC_PORT is set, but the card of {card.name} does not list {GRPC}")
    for interface in copy.supported_interfaces:
        if interface.protocol_binding == GRPC:
            interface.url = f":{grpc_port}" if grpc_port else ""
    return copy


def stamped(card: AgentCard, base: str) -> AgentCard:
    """A copy of `card` with its interfaces under the address `base`. Its gRPC is on the same host, if it has a port."""
    copy = _copy(card)
    del copy.supported_interfaces[:]
    host = urlsplit(base).hostname or ""
    paths = {"JSONRPC": JSONRPC_PATH, "HTTP+JSON": REST_PATH}
    for interface in card.supported_interfaces or _defaults(*BINDINGS):
        port = interface.url.rpartition(":")[2]
        if interface.protocol_binding in paths:
            url = base.rstrip("/") + paths[interface.protocol_binding]
        elif port:
            url = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        else:
            continue
        copy.supported_interfaces.add().CopyFrom(interface)
        copy.supported_interfaces[-1].url = url
    return copy


def _defaults(*bindings: str) -> list[AgentInterface]:
    from a2a.types import AgentInterface

    return [AgentInterface(protocol_binding=b, protocol_version=PROTOCOL_VERSION) for b in bindings]


def _copy(card: AgentCard) -> AgentCard:
    from a2a.types import AgentCard

    copy = AgentCard()
    copy.CopyFrom(card)
    return copy


def to_json(card: AgentCard) -> dict[str, Any]:
    """The card as it goes over the wire; with the names of 0.3 as well, if it lists an interface of that version."""
    from google.protobuf.json_format import MessageToDict

    document = dict(MessageToDict(card))
    if any(i.protocol_version == LEGACY_VERSION for i in card.supported_interfaces):
        # The SDK's own function that does this lies in a package that imports a whole server, before the card could be served.
        from a2a.compat.v0_3.conversions import to_compat_agent_card

        legacy = to_compat_agent_card(card).model_dump(exclude_none=True)
        if not legacy.get("supportsAuthenticatedExtendedCard"):
            legacy.pop("supportsAuthenticatedExtendedCard", None)
        _add(document, legacy)
    return document


def _add(document: dict[str, Any], more: dict[str, Any]) -> None:
    """Add what is missing, at every depth. What is there stays; lists are matched by place."""
    for key, value in more.items():
        mine = document.setdefault(key, value)
        if isinstance(mine, dict) and isinstance(value, dict):
            _add(mine, value)
        elif isinstance(mine, list) and isinstance(value, list):
            for one, other in zip(mine, value, strict=False):
                if isinstance(one, dict) and isinstance(other, dict):
                    _add(one, other)


def etag(document: dict[str, Any]) -> str:
    """A weak entity tag of a card's content."""
    return f'W/"{hashlib.sha256(canonical(document).encode()).hexdigest()[:32]}"'


def _origin(address: str) -> str:
    parts = urlsplit(address)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return f"{parts.scheme}://{parts.hostname}:{port}"
