"""Checkpoints are C2SP's: what others have signed verifies here, and nothing passes that is not exactly what was signed."""

from __future__ import annotations

import json

import pytest

from meshwright.audit.note import NoteError, Notesigner, Torn, Verifier, opened, verifier_of
from meshwright.inbound.identity import new_key

#: The example of golang.org/x/mod/sumdb/note, from which the form comes.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="


def signer(name: str = "meshwright/orchestrator/audit") -> Notesigner:
    return Notesigner.from_jwk(name, new_key("orchestrator")[0])


def test_what_the_go_tools_have_signed_verifies() -> None:
    import base64

    peter = verifier_of("", PETER)
    signature = base64.b64decode(SIGNATURE)
    assert (peter.name, peter.vkey, signature[:4]) == ("PeterNeumann", PETER, peter.id)
    assert peter.verifies(TEXT, signature[4:])
    assert not peter.verifies(TEXT + " ", signature[4:])


def test_a_note_says_what_was_signed_and_by_whom() -> None:
    mine = signer()
    note = mine.note(12, b"\1" * 32)
    lines = note.splitlines()
    assert lines[:4] == [
        "meshwright/orchestrator/audit",
        "12",
        "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
        "",
    ]
    assert lines[4].startswith("— meshwright/orchestrator/audit ")
    found = opened(note, [signer().verifier, mine.verifier])
    assert (found.size, found.root) == (12, b"\1" * 32)


def test_a_witness_may_sign_below() -> None:
    mine, witness = signer(), signer("witness.example")
    note = mine.note(12, b"\1" * 32)
    theirs = witness.note(12, b"\1" * 32).splitlines()[-1]
    assert opened(f"{note}{theirs}\n", [mine.verifier]).size == 12
    with pytest.raises(NoteError, match="no key that is known"):
        opened(f"{note}{theirs}\n", [witness.verifier])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n12\n", "\n13\n"),
        ("\n12\n", "\n012\n"),
        ("\n12\n", "\n-12\n"),
        ("\n12\n", "\n12\nextension\n"),
        ("\nAQEB", "\nAQEC"),
        ("meshwright/orchestrator/audit\n12", "meshwright/other/audit\n12"),
        ("\n\n— ", "\n— "),
    ],
)
def test_nothing_in_it_can_be_changed(old: str, new: str) -> None:
    mine = signer()
    note = mine.note(12, b"\1" * 32)
    assert old in note
    with pytest.raises(NoteError):
        opened(note.replace(old, new, 1), [mine.verifier])


def test_every_beginning_of_a_note_is_torn_and_not_forged() -> None:
    mine = signer()
    note = mine.note(12, b"\1" * 32)
    for end in range(len(note) - 1):
        with pytest.raises(Torn):
            opened(note[:end] + "\n", [mine.verifier])


def test_a_key_is_read_from_what_there_is() -> None:
    private, public = new_key("orchestrator")
    mine = Notesigner.from_jwk("meshwright/orchestrator/audit", private).verifier
    trust = {"agents": {"orchestrator": public}, "operators": []}
    for text in (json.dumps(public), json.dumps(private), json.dumps(trust), mine.vkey + "\n"):
        assert verifier_of("orchestrator", text) == mine
    for text in ("", "{}", '{"agents": {}}', mine.vkey[:-4] + "AAA=", "name+00000000+AAAA"):
        with pytest.raises(ValueError):  # noqa: PT011
            verifier_of("orchestrator", text)
    with pytest.raises(ValueError, match="no Ed25519 key"):
        Notesigner.from_jwk("x", public)
    assert isinstance(mine, Verifier)
