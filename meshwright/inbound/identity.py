"""Who is calling: one Ed25519 key per process, one short-lived JWT per hop. The one door of the identity story.

A token names its maker (`iss` = `sub`), the one process it is for (`aud`) and lives at most a minute. Trust is a file:
names to public keys. In the cloud both are mounted from secrets; `meshwright keys` makes them for one machine.

A process that people log in to speaks for them: its token says for whom (`obo`), the trust file says who may (`speakers`), and
the caller is then that person.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, ValidationError

from meshwright.errors import Unauthenticated
from meshwright.settings import Settings, SettingsError

LIFETIME = 60
LEEWAY = 5
#: Seconds for which a token is used again, since it says nothing but a name: a signature costs as much as all else in a hop's headers.
REUSE = 20
#: Tokens whose signatures are remembered as verified; what they claim is looked at each time.
REMEMBERED = 1024
ANONYMOUS = ""
#: The claim that names the person a process speaks for.
FOR = "obo"


def new_key(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A fresh Ed25519 key pair for a process, as (private JWK, public JWK)."""
    key = OKPKey.generate_key("Ed25519", {"kid": name, "alg": "Ed25519", "use": "sig"}, private=True)
    return dict(key.as_dict(private=True)), dict(key.as_dict(private=False))


@dataclass(frozen=True, slots=True)
class Signer:
    """Makes this process's tokens."""

    name: str
    key: OKPKey = field(repr=False)

    @classmethod
    def from_jwk(cls, name: str, jwk: Mapping[str, Any]) -> Signer:
        return cls(name, OKPKey.import_key(dict(jwk)))

    def token(self, audience: str, *, scope: str = "", **claims: Any) -> str:
        """A token that `audience` will take from us for the next minute."""
        now = int(time.time())
        body = {
            "iss": self.name,
            "sub": self.name,
            "aud": audience,
            "iat": now,
            "exp": now + LIFETIME,
            "jti": secrets.token_urlsafe(12),
            **({"scope": scope} if scope else {}),
            **claims,
        }
        return self.signed("at+jwt", body)

    def secret(self, purpose: str) -> bytes:
        """32 bytes for one purpose of this process, the same after a restart: what they are made from is the private key."""
        private = str(self.key.as_dict(private=True)["d"])
        return hmac.digest(private.encode(), purpose.encode(), hashlib.sha256)

    def signed(self, kind: str, claims: Mapping[str, Any]) -> str:
        """Claims under our name, as a compact JWS of the type `kind`."""
        header = {"alg": "Ed25519", "typ": kind, "kid": self.name}
        return jwt.encode(header, dict(claims), self.key, algorithms=["Ed25519"])


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request comes from. `name` is empty for someone who did not say; `via` is the process that speaks for them.

    A `reader` may see what this process has decided, for whomever: an operator, or a process that explains runs to them.
    """

    name: str = ANONYMOUS
    operator: bool = False
    claims: Mapping[str, Any] = field(default_factory=dict)
    via: str = ""
    reader: bool = False

    @property
    def scopes(self) -> frozenset[str]:
        return frozenset(str(self.claims.get("scope", "")).split())


#: Who did not say who it is.
STRANGER = Caller()


class Trust:
    """The public keys this process believes, and whether it listens to strangers."""

    def __init__(
        self,
        me: str,
        keys: Mapping[str, OKPKey],
        operators: frozenset[str] = frozenset(),
        speakers: Mapping[str, frozenset[str]] | None = None,
        readers: frozenset[str] = frozenset(),
        *,
        open_to_strangers: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.me = me
        self._keys = dict(keys)
        self._operators = operators
        self._speakers = dict(speakers or {})
        self._readers = readers
        self.open_to_strangers = open_to_strangers
        self._clock = clock
        self._signatures = lru_cache(REMEMBERED)(self._verified)

    @classmethod
    def from_document(cls, me: str, document: Mapping[str, Any], *, open_to_strangers: bool = False) -> Trust:
        """From `{"agents": {name: public JWK}, "operators": [name], "speakers": {process: [name]}, "readers": [process]}`."""
        keys = {name: OKPKey.import_key(dict(jwk)) for name, jwk in document.get("agents", {}).items()}
        operators = frozenset(document.get("operators", ()))
        speakers = {name: frozenset(people) for name, people in document.get("speakers", {}).items()}
        readers = frozenset(document.get("readers", ()))
        return cls(me, keys, operators, speakers, readers, open_to_strangers=open_to_strangers)

    def is_operator(self, name: str) -> bool:
        """Whether the name of a caller, as it was verified, is that of a person who may decide."""
        return bool(name) and name in self._operators

    def may_speak(self, process: str, person: str) -> bool:
        """Whether a process may come as a person: an operator, whom the trust file names for this process."""
        return self.is_operator(person) and person in self._speakers.get(process, frozenset())

    @property
    def knows_somebody(self) -> bool:
        return bool(self._keys)

    def caller(self, authorization: str | None) -> Caller:
        """Who an Authorization header names. Raises Unauthenticated, always in the same words."""
        if not authorization:
            if self.open_to_strangers:
                return STRANGER
            raise Unauthenticated("this server wants an Authorization: Bearer token of a process it trusts")
        kind, _, token = authorization.partition(" ")
        if kind.lower() != "bearer" or not token or len(token) > 8192:
            raise Unauthenticated("the token does not verify")
        name, claims = self.verified("at+jwt", token.strip())
        self._check(name, claims)
        if FOR not in claims:
            operator = name in self._operators
            return Caller(name, operator, claims, reader=operator or name in self._readers)
        person = claims[FOR]
        if not isinstance(person, str) or not self.may_speak(name, person):
            raise Unauthenticated("the token does not verify")
        return Caller(person, True, claims, via=name, reader=True)

    def verified(self, kind: str, token: str) -> tuple[str, dict[str, Any]]:
        """Whose key signed a JWS of the type `kind`, and its claims, which nobody may change. Raises Unauthenticated."""
        return self._signatures(kind, token)

    def _verified(self, kind: str, token: str) -> tuple[str, dict[str, Any]]:
        try:
            decoded = jwt.decode(token, self._key_of, algorithms=["Ed25519"])
        except (JoseError, ValueError, KeyError, TypeError):
            raise Unauthenticated("the token does not verify") from None
        # A key signs more than one kind of thing; none passes for another.
        if decoded.header.get("typ") != kind:
            raise Unauthenticated("the token does not verify")
        return str(decoded.header["kid"]), decoded.claims

    def _key_of(self, signed: Any) -> OKPKey:
        return self._keys[str(signed.headers().get("kid", ""))]

    def _check(self, name: str, claims: Mapping[str, Any]) -> None:
        now = self._clock()
        issued, expires = claims.get("iat"), claims.get("exp")
        right = (
            claims.get("aud") == self.me
            and claims.get("iss") == claims.get("sub") == name  # a key speaks for its own name only
            and isinstance(issued, int)
            and isinstance(expires, int)
            and issued - LEEWAY <= now <= expires + LEEWAY
            and expires - issued <= LIFETIME
        )
        if not right:
            raise Unauthenticated("the token does not verify")


@dataclass(frozen=True, slots=True)
class Identity:
    """This process's name, its signer (none on an open loopback) and whom it trusts."""

    name: str
    signer: Signer | None
    trust: Trust
    _tokens: dict[tuple[str, str, str], tuple[float, str]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def authorization(self, audience: str, scope: str = "", person: str = "") -> dict[str, str]:
        """The header for a call to `audience`, on behalf of a `person` if one is named; empty while this process has no key."""
        if self.signer is None:
            return {}
        made, token = self._tokens.get((audience, scope, person), (float("-inf"), ""))
        if time.monotonic() - made > REUSE:
            token = self.signer.token(audience, scope=scope, **({FOR: person} if person else {}))
            self._tokens[audience, scope, person] = time.monotonic(), token
        return {"authorization": f"Bearer {token}"}


def load_identity(name: str, settings: Settings, *, open_to_strangers: bool = True) -> Identity:
    """The identity of process `name` from its settings.

    Raises SettingsError for a public address without key and trust: nobody should find out later that a write tool was
    open to the network.
    """
    if not settings.is_loopback and not (settings.key and settings.trust):
        raise SettingsError(
            f"{settings.host} can be reached from other machines: set MESHWRIGHT_KEY and MESHWRIGHT_TRUST "
            "(`meshwright keys` makes both), or bind 127.0.0.1"
        )
    signer = _signer(name, settings.key) if settings.key else None
    strangers = open_to_strangers and settings.is_loopback
    if settings.trust is None:
        return Identity(name, signer, Trust(name, {}, open_to_strangers=strangers))
    document = _trusted(settings.trust)
    trust = Trust.from_document(name, document, open_to_strangers=strangers)
    return Identity(name, signer, trust)


class _Trusted(BaseModel):
    """What a trust file holds. A table that this build does not know is a newer build's."""

    model_config = ConfigDict(strict=True)

    agents: dict[str, dict[str, Any]] = {}
    operators: list[str] = []
    speakers: dict[str, list[str]] = {}
    readers: list[str] = []


def _trusted(path: Path) -> dict[str, Any]:
    """The trust file. Raises SettingsError, also for a text where names are listed: its letters are names, too."""
    try:
        found = _Trusted.model_validate(_read(path, "MESHWRIGHT_TRUST"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise SettingsError(f"MESHWRIGHT_TRUST: {path}: {where}: {first['msg']}") from None
    for name, jwk in found.agents.items():
        if not _usable(jwk):
            raise SettingsError(f"MESHWRIGHT_TRUST: {path}: agents.{name} is no Ed25519 key")
    return found.model_dump()


def _signer(name: str, path: Path) -> Signer:
    jwk = _read(path, "MESHWRIGHT_KEY")
    if "d" not in jwk or not _usable(jwk):
        raise SettingsError(f"MESHWRIGHT_KEY: {path} is no private Ed25519 key")
    return Signer.from_jwk(name, jwk)


def _usable(jwk: Mapping[str, Any]) -> bool:
    try:
        return OKPKey.import_key(dict(jwk)).curve_name == "Ed25519"
    except (JoseError, ValueError, TypeError):
        return False


def _read(path: Path, variable: str) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"{variable}: cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise SettingsError(f"{variable}: {path} is not JSON") from None
    if not isinstance(document, dict):
        raise SettingsError(f"{variable}: {path} must hold a JSON object")
    return document
