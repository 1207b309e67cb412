"""Keys for a team of processes, made on the spot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from meshwright.inbound.identity import Identity, Signer, Trust, new_key


class Keyring:
    """Keys for a team of processes that all trust one another, made on the spot."""

    def __init__(
        self,
        *names: str,
        operators: tuple[str, ...] = ("operator",),
        speakers: Mapping[str, Sequence[str]] | None = None,
        readers: Sequence[str] = ("orchestrator",),
    ) -> None:
        pairs = {name: new_key(name) for name in (*names, *operators)}
        self._private = {name: private for name, (private, _) in pairs.items()}
        self.document = {
            "agents": {name: public for name, (_, public) in pairs.items()},
            "operators": list(operators),
            "readers": list(readers),
            "speakers": {name: list(people) for name, people in (speakers or {}).items()},
        }

    def identity(self, name: str, *, open_to_strangers: bool = True) -> Identity:
        """What the process `name` would load from its files."""
        trust = Trust.from_document(name, self.document, open_to_strangers=open_to_strangers)
        return Identity(name, self.signer(name), trust)

    def signer(self, name: str) -> Signer:
        return Signer.from_jwk(name, self._private[name])
