"""A setting that is misspelt or wrong is an error at start, and says what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from meshwright.inbound.identity import load_identity
from meshwright.settings import Settings, SettingsError


def test_a_misspelt_name_is_an_error_with_the_nearest_known_one() -> None:
    with pytest.raises(SettingsError, match="did you mean MESHWRIGHT_DEADLINE"):
        Settings.from_env({"MESHWRIGHT_DEADLIN": "5"})


def test_a_wrong_value_names_the_variable() -> None:
    with pytest.raises(SettingsError, match=r"MESHWRIGHT_PORT.*'eighty'"):
        Settings.from_env({"MESHWRIGHT_PORT": "eighty"})


@pytest.mark.parametrize(
    "peers",
    [
        *("127.0.0.1:80", "ftp://x", "http://", "http://[::1", "http://a:port", "http://a:99999"),
        *("http://a http://b", "http://a;http://b", "http://a\nb", "http://a/?tenant=x", "http://a/#x"),
        "http://user:word@a",
    ],
)
def test_a_peer_needs_an_http_address(peers: str) -> None:
    with pytest.raises(
        SettingsError, match="MESHWRIGHT_PEERS: must be an http:// or https:// address"
    ) as said:
        Settings.from_env({"MESHWRIGHT_PEERS": peers})
    assert "word" not in str(said.value), "a password is not told, either"


@pytest.mark.parametrize("peer", ["http://[::1]:80", "HTTPS://desk_1.example.org:8400/a/b", "http://bücher"])
def test_an_address_is_a_host_with_a_port_and_a_path(peer: str) -> None:
    assert Settings.from_env({"MESHWRIGHT_PEERS": peer}).peers == (peer,)


def test_every_setting_is_told_of_in_a_document() -> None:
    root = Path(__file__).parents[2]
    told = "\n".join(page.read_text() for page in (root / "README.md", *(root / "docs").glob("*.md")))
    names = [name.upper() for name in Settings.model_fields]
    assert [each for each in names if not re.search(rf"\bMESHWRIGHT_{each}\b|`{each}`", told)] == []


def test_lists_are_split_at_commas_and_other_variables_are_none_of_its_business() -> None:
    settings = Settings.from_env({"MESHWRIGHT_PEERS": "http://a, http://b/", "PATH": "/bin"})
    assert settings.peers == ("http://a", "http://b")


def test_an_empty_variable_counts_as_not_set() -> None:
    assert Settings.from_env({"MESHWRIGHT_PUBLIC_URL": ""}).public_url is None


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.5", "::", "mesh.example"])
def test_a_public_address_without_keys_is_refused(host: str) -> None:
    with pytest.raises(SettingsError, match="MESHWRIGHT_KEY and MESHWRIGHT_TRUST"):
        load_identity("orders", Settings(host=host))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_no_keys(host: str) -> None:
    assert load_identity("orders", Settings(host=host)).signer is None
