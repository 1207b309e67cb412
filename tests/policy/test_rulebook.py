"""A policy that is wrong is refused at start, and the words say where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from meshwright.policy import Policy
from meshwright.policy.rules import shipped_policy
from meshwright.settings import SettingsError

PAINT = 'permit (principal, action == Action::"paint", resource)'
SAID = '@id("a") @source("s") @why("w") '


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (f"{SAID} permit (principal action resource);", "team.cedar: .*"),
        (f'@source("s") @why("w") {PAINT};', "team.cedar: a rule without an id: it needs @id"),
        (f'@id("a") @why("w") {PAINT};', "a: it needs @source"),
        (f'@id("a") @source("s") {PAINT};', "a: it needs @why"),
        (f'@id("a") @source("s") @why("") {PAINT};', "a: it needs @why"),
        (f'{SAID} @risc("high") {PAINT};', "a: @risc says nothing here"),
        (f'{SAID} @risk("huge") {PAINT};', "a: @risk must be one of low, medium, high"),
        (f"{SAID} {PAINT}; {SAID} {PAINT};", "a: another rule has this id"),
        (f"{SAID} permit (principal, action, resource);", "a: a permit must name its actions"),
        (f"{SAID} permit (principal == ?principal, action, resource);", "templates are not used here"),
        (f"{SAID} {PAINT} when {{ context.thing.price < 5 }};", "team.cedar: a: "),
        (f'{SAID} {PAINT} when {{ context has thing.price && context.thing.price == "5" }};', "a: "),
        (f"{SAID} {PAINT} when {{ context.nonsense }};", "a: "),
        (f'{SAID} permit (principal, action == Action::"burn", resource);', "a: "),
    ],
)
def test_a_rule_that_is_wrong_is_named(write: Callable[..., Path], rules: str, words: str) -> None:
    with pytest.raises(SettingsError, match=f"MESHWRIGHT_POLICY: .*{words}"):
        Policy.load(write(rules=rules))


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ("needs =", "facts.toml: "),
        ("[needs]\npaint = ['price']", "facts.toml: needs.paint: there is no fact 'price'"),
        ("[facts.a]\ntool = 't'", "facts.toml: facts.a.arguments"),
        ("[facts.a]\ntool = 't'\narguments = {}\nkep = []", "facts.toml: facts.a.kep"),
        (
            "[facts.b]\ntool = 't'\narguments = { x = 'a.x' }\n[facts.a]\ntool = 't'\narguments = {}",
            "facts.b must stand below what it is asked with",
        ),
        (
            "[needs]\npaint = ['b']\n[facts.a]\ntool = 't'\narguments = {}\n[facts.b]\ntool = 't'\narguments = { x = 'a.x' }",
            "needs.paint: b is asked with a",
        ),
        ("[needs]\npiant = []", "facts.toml: needs.piant: no rule permits it"),
    ],
)
def test_a_lookup_that_is_wrong_is_named(write: Callable[..., Path], facts: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Policy.load(write(facts=facts))


def test_a_request_that_no_rule_lets_end_is_refused(write: Callable[..., Path]) -> None:
    folder = write()
    facts = folder / "facts.toml"
    facts.write_text(facts.read_text().replace("[closing]", "[closing]\nreply = 'repli'"))
    with pytest.raises(SettingsError, match=r"facts\.toml: closing\.reply: no rule permits repli"):
        Policy.load(folder)


def test_a_folder_without_a_policy_is_refused(tmp_path: Path, write: Callable[..., Path]) -> None:
    with pytest.raises(SettingsError, match="is no folder"):
        Policy.load(tmp_path / "nowhere")
    folder = write()
    (folder / "second.cedarschema").write_text("entity Agent;")
    with pytest.raises(SettingsError, match=r"must hold one \*.cedarschema"):
        Policy.load(folder)
    (folder / "second.cedarschema").unlink()
    (folder / "team.cedarschema").write_text("entity;")
    with pytest.raises(SettingsError, match=r"team\.cedarschema: "):
        Policy.load(folder)


def test_a_permit_for_a_kind_of_action_is_refused(write: Callable[..., Path]) -> None:
    """Whoever joins that kind later would be permitted too; and the gate would know none of its actions."""
    for scope in ('action in Action::"change"', 'action in [Action::"paint", Action::"change"]'):
        folder = write(rules=f"{SAID} permit (principal, {scope}, resource);")
        schema = folder / "team.cedarschema"
        schema.write_text(
            schema.read_text().replace("action paint ", "action change;\naction paint in change ")
        )
        with pytest.raises(SettingsError, match="a: change is a kind of action"):
            Policy.load(folder)


def test_rules_keep_their_names_over_several_files(write: Callable[..., Path]) -> None:
    folder = write()
    later = "".join(f'@id("z{n}") @source("s") @why("w") {PAINT} when {{ false }};\n' for n in range(12))
    (folder / "zz.cedar").write_text(later)
    policy = Policy.load(folder)
    assert [rule.id for rule in policy.rulebook.rules] == [
        *("speak", "paint", "dry", "dear", "very-dear"),
        *(f"z{n}" for n in range(12)),
    ]


def test_another_rule_is_another_digest(write: Callable[..., Path]) -> None:
    before = Policy.load(write()).digest
    assert Policy.load(write()).digest == before
    assert Policy.load(write(facts="")).digest != before


def test_the_policy_that_comes_along_is_found() -> None:
    assert Policy.load(shipped_policy()).closing is not None
