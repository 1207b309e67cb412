"""A token works for one minute, for one process, from one that is trusted; everything else is the same 401."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey

from meshwright.errors import Unauthenticated
from meshwright.inbound.identity import Signer, Trust, load_identity, new_key
from meshwright.settings import Settings, SettingsError
from meshwright.testing import Keyring

RING = Keyring("orders", "orderbook")
KEY = new_key("orders")[1]


def trust() -> Trust:
    return Trust.from_document("orderbook", RING.document)


def bearer(token: str) -> str:
    return f"Bearer {token}"


def test_a_token_names_its_maker() -> None:
    caller = trust().caller(bearer(RING.signer("orders").token("orderbook", scope="apply")))
    assert (caller.name, caller.operator, caller.scopes) == ("orders", False, {"apply"})


def test_an_operator_is_known_as_one() -> None:
    assert trust().caller(bearer(RING.signer("operator").token("orderbook"))).operator


def test_a_stranger_is_let_in_only_where_strangers_are_welcome() -> None:
    with pytest.raises(Unauthenticated, match="Bearer"):
        trust().caller(None)
    assert Trust.from_document("x", RING.document, open_to_strangers=True).caller(None).name == ""


def forged(**changes: object) -> str:
    private, _ = new_key("orders")
    now = int(time.time())
    body = {"iss": "orders", "sub": "orders", "aud": "orderbook", "iat": now, "exp": now + 60, **changes}
    key = OKPKey.import_key(private)
    return jwt.encode({"alg": "Ed25519", "typ": "at+jwt", "kid": "orders"}, body, key, algorithms=["Ed25519"])


def signed(**changes: object) -> str:
    """A token of the real key with other claims."""
    signer = RING.signer("orders")
    now = int(time.time())
    body = {"iss": "orders", "sub": "orders", "aud": "orderbook", "iat": now, "exp": now + 60, **changes}
    return signer.signed("at+jwt", body)


NOW = int(time.time())


@pytest.mark.parametrize(
    "token",
    [
        forged(),
        signed(aud="desk"),
        signed(exp=NOW - 60, iat=NOW - 120),
        signed(exp=NOW + 86_400),
        signed(iat=NOW + 86_400, exp=NOW + 86_450),
        signed(sub="orchestrator"),
        signed(exp=None),
        "not.a.token",
        "eyJhbGciOiJub25lIn0.e30.",
        "x" * 9000,
    ],
)
def test_any_other_token_is_refused_in_the_same_words(token: str) -> None:
    with pytest.raises(Unauthenticated, match=r"^the token does not verify$"):
        trust().caller(bearer(token))


def test_a_key_speaks_only_for_its_own_name() -> None:
    impostor = Signer("orchestrator", RING.signer("orders").key)
    ring = Keyring("orchestrator", "orderbook")
    ring.document["agents"]["orders"] = RING.document["agents"]["orders"]  # type: ignore[index]
    with pytest.raises(Unauthenticated):
        Trust.from_document("orderbook", ring.document).caller(bearer(impostor.token("orderbook")))


def test_a_name_cannot_be_claimed_under_another_names_key() -> None:
    with pytest.raises(Unauthenticated):
        trust().caller(bearer(signed(iss="orderbook", sub="orderbook")))


def test_a_token_whose_signature_is_remembered_expires_all_the_same() -> None:
    now = time.time()
    keys = {name: OKPKey.import_key(jwk) for name, jwk in RING.document["agents"].items()}
    ours = Trust("orderbook", keys, clock=lambda: now)
    token = bearer(RING.signer("orders").token("orderbook"))
    assert ours.caller(token).name == "orders"
    now += 70
    with pytest.raises(Unauthenticated):
        ours.caller(token)


def test_a_token_is_used_again_for_the_same_server_and_scope() -> None:
    me = RING.identity("orders")
    assert me.authorization("orderbook") == me.authorization("orderbook")
    assert me.authorization("orderbook") != me.authorization("desk")
    assert me.authorization("orderbook", "apply") == me.authorization("orderbook", "apply")
    assert me.authorization("orderbook", "apply") != me.authorization("orderbook")


SPEAKING = Keyring(
    "orders", "console", "orderbook", operators=("operator", "ann"), speakers={"console": ["ann", "bob"]}
)


def speaking() -> Trust:
    return Trust.from_document("orderbook", SPEAKING.document)


def test_a_process_that_may_speak_for_a_person_comes_as_that_person() -> None:
    caller = speaking().caller(
        bearer(SPEAKING.identity("console").authorization("orderbook", person="ann")["authorization"][7:])
    )
    assert (caller.name, caller.operator, caller.via) == ("ann", True, "console")


@pytest.mark.parametrize(
    ("process", "person"),
    [
        ("orders", "ann"),  # a process that speaks for nobody
        ("console", "bob"),  # no operator
        ("console", "operator"),  # an operator whom the console does not speak for
        ("console", "orders"),
        ("console", ""),
        ("console", ["ann"]),
        ("console", None),
        ("ann", "ann"),
    ],
)
def test_nobody_speaks_for_whom_the_trust_file_does_not_name(process: str, person: object) -> None:
    token = SPEAKING.signer(process).token("orderbook", obo=person)
    with pytest.raises(Unauthenticated, match=r"^the token does not verify$"):
        speaking().caller(bearer(token))


def test_one_that_speaks_for_people_is_no_operator_itself() -> None:
    assert not speaking().caller(bearer(SPEAKING.signer("console").token("orderbook"))).operator


def test_a_token_for_one_person_is_not_used_again_for_another() -> None:
    me = SPEAKING.identity("console")
    assert me.authorization("orderbook", person="ann") == me.authorization("orderbook", person="ann")
    assert me.authorization("orderbook", person="ann") != me.authorization("orderbook", person="operator")
    assert me.authorization("orderbook", person="ann") != me.authorization("orderbook")


def test_a_key_has_a_secret_for_each_purpose_and_the_same_after_a_restart() -> None:
    private, _ = new_key("console")
    one, again = Signer.from_jwk("console", private), Signer.from_jwk("console", private)
    assert one.secret("sessions") == again.secret("sessions")
    assert one.secret("sessions") != one.secret("forms")
    assert one.secret("sessions") != SPEAKING.signer("console").secret("sessions")


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"operators": "ann"}, "operators"),  # not a, n and n
        ({"operators": None}, "operators"),
        ({"speakers": {"console": "ann"}}, "speakers.console"),
        ({"speakers": ["console"]}, "speakers"),
        ({"readers": "console"}, "readers"),
        ({"agents": ["orders"]}, "agents"),
        ({"agents": {"orders": "x"}}, "agents.orders"),
        ({"agents": {"orders": {}}}, "agents.orders is no Ed25519 key"),
        ({"agents": {"orders": {**KEY, "x": "x"}}}, "agents.orders is no Ed25519 key"),
        ({"agents": {"orders": {**KEY, "crv": "X25519"}}}, "agents.orders is no Ed25519 key"),
    ],
)
def test_a_trust_file_of_another_shape_keeps_a_process_from_starting(
    tmp_path: Path, changes: dict[str, object], where: str
) -> None:
    path = tmp_path / "trust.json"
    path.write_text(json.dumps({**RING.document, **changes}))
    with pytest.raises(SettingsError, match=rf"MESHWRIGHT_TRUST: .*trust\.json: {where}"):
        load_identity("orderbook", Settings(trust=path))


def test_what_a_newer_build_writes_into_a_trust_file_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    path.write_text(json.dumps({**RING.document, "auditors": ["ann"]}))
    assert load_identity("orderbook", Settings(trust=path)).trust.is_operator("operator")


@pytest.mark.parametrize("key", [{}, KEY, {"kty": "oct", "k": "AAAA"}, {**KEY, "crv": "X25519", "d": "x"}])
def test_a_key_that_cannot_sign_keeps_a_process_from_starting(tmp_path: Path, key: object) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(key))
    with pytest.raises(SettingsError, match=r"MESHWRIGHT_KEY: .*key\.json is no private Ed25519 key"):
        load_identity("orders", Settings(key=path))
