"""Checkpoints: how many entries there are and the root over them, signed, in the form that transparency logs use.

The form is C2SP's: https://c2sp.org/tlog-checkpoint for the text, https://c2sp.org/signed-note for the signature under it, so that others'
tools and witnesses can read them. The key that signs is not in the database.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_ED25519 = b"\x01"
#: A whole note: origin, size and root of the checkpoint, and the lines with the signatures.
NOTE = re.compile(
    r"(?m:^)(\S+)\n(0|[1-9]\d{0,17})\n([A-Za-z0-9+/]{43}=)\n\n((?:— [^\s+]+ [A-Za-z0-9+/=]+\n)+)"
)


class NoteError(Exception):
    """A note that is not to be believed, and why."""


class Torn(NoteError):
    """It was not written to its end."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is signed: the log of `origin` has `size` entries, with this root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{_b64(self.root)}\n"


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key under the name it signs with."""

    name: str
    key: bytes

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.key).digest()[:4]

    @property
    def vkey(self) -> str:
        """The key as the tools of others want it."""
        return f"{self.name}+{self.id.hex()}+{_b64(_ED25519 + self.key)}"

    def verifies(self, text: str, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, text.encode())
        except (InvalidSignature, ValueError):
            return False
        return True


class Notesigner:
    """Signs checkpoints under a name, which is also their origin."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.verifier = Verifier(name, key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    @classmethod
    def from_jwk(cls, name: str, jwk: Mapping[str, Any]) -> Notesigner:
        """Raises ValueError for what is no private Ed25519 key."""
        return cls(name, Ed25519PrivateKey.from_private_bytes(_part(jwk, "d")))

    def note(self, size: int, root: bytes) -> str:
        text = Checkpoint(self.verifier.name, size, root).text
        signature = self._key.sign(text.encode())
        return f"{text}\n— {self.verifier.name} {_b64(self.verifier.id + signature)}\n"


def opened(note: str, keys: Sequence[Verifier]) -> Checkpoint:
    """The checkpoint in a note that one of `keys` has signed under its origin. Raises NoteError."""
    found = NOTE.fullmatch(note)
    if found is None:
        raise Torn("it is not a whole note")
    checkpoint = Checkpoint(found[1], int(found[2]), base64.b64decode(found[3]))
    known = False
    for line in found[4].splitlines():
        _, name, text = line.split(" ")
        try:
            signature = base64.b64decode(text, validate=True)
        except binascii.Error:
            raise Torn("its signature is not whole") from None
        if len(signature) != 4 + 64:
            raise Torn("its signature is not whole")
        for key in keys:
            # Others may sign a checkpoint too, as witnesses; that it is the log's own word only its own key says.
            if name == key.name == checkpoint.origin and signature[:4] == key.id:
                known = True
                if key.verifies(checkpoint.text, signature[4:]):
                    return checkpoint
    raise NoteError("its signature is wrong" if known else "it is signed by no key that is known")


def origin_of(name: str) -> str:
    """The name under which the process `name` signs checkpoints of its log."""
    return f"meshwright/{name}/audit"


def verifier_of(name: str, text: str) -> Verifier:
    """The public key in `text`: a JWK, a trust file that names the process, or a line `name+id+key`. Raises ValueError."""
    text = text.strip()
    if not text.startswith("{"):
        origin, _, rest = text.partition("+")
        _, _, key = rest.partition("+")
        found = Verifier(origin, base64.b64decode(key)[1:])
        if found.vkey != text:
            raise ValueError("it is no key")
        return found
    document = json.loads(text)
    if "agents" in document:
        if name not in document["agents"]:
            raise ValueError(f"it does not name {name}")
        document = document["agents"][name]
    return Verifier(origin_of(name), _part(document, "x"))


def signer_of(name: str, path: Path) -> Notesigner:
    """The key in a file as `meshwright keys` makes them. Raises OSError or ValueError."""
    return Notesigner.from_jwk(origin_of(name), json.loads(path.read_text()))


def seed_of(path: Path) -> bytes:
    """The secret part of a key in a file. Raises OSError or ValueError."""
    return _part(json.loads(path.read_text()), "d")


def _part(jwk: Mapping[str, Any], part: str) -> bytes:
    value = jwk.get(part)
    if jwk.get("crv") != "Ed25519" or not isinstance(value, str):
        raise ValueError("it is no Ed25519 key")
    return base64.urlsafe_b64decode(value + "==")


def _b64(value: bytes) -> str:
    return base64.b64encode(value).decode()
