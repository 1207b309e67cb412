"""The rules of the house, held against the tree itself."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import agent_cards
import meshwright
from meshwright.schemas import schemas

ROOT = Path(__file__).parents[2]
ROOMS = ("meshwright", "orchestrator", "aggregator", "console", "agent_cards", "agents", "tools", "evals")
FILES = sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))
AGENTS = sorted(p.name for p in (ROOT / "agents").iterdir() if (p / "agent.py").is_file())
TOOLS = sorted(p.name for p in (ROOT / "tools").iterdir() if (p / "server.py").is_file())
#: Names that everything can claim, and so say nothing.
ROLES = {"utils", "util", "common", "helpers", "helper", "manager", "base", "misc", "core"}
HEAVY = {"a2a", "httpx", "httpx2", "mcp", "langgraph", "litellm", "aiohttp", "uvicorn", "starlette"}
WIDE = ("Exception", "BaseException")


def imports_of(file: Path) -> set[str]:
    """The top-level packages a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_the_front_door_has_these_names_and_no_more() -> None:
    assert len(meshwright.__all__) <= 15
    assert all(getattr(meshwright, name) for name in meshwright.__all__)


def test_no_room_stands_before_what_is_at_the_front_door() -> None:
    """A room that is imported becomes an attribute of the package, and would be found in place of what it is named like."""
    rooms = [f"meshwright.{room.name}" for room in pkgutil.iter_modules(meshwright.__path__)]
    names = ", ".join(meshwright.__all__)
    code = f"import types, {', '.join(rooms)}\nfrom meshwright import {names}\n"
    code += f"print([each for each in ({names}) if isinstance(each, types.ModuleType)])"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_shelves_are_no_packages() -> None:
    assert not (ROOT / "agents" / "__init__.py").exists()
    assert not (ROOT / "tools" / "__init__.py").exists()


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_a_file_is_named_for_a_thing_and_small_enough_to_have_one_purpose(file: Path) -> None:
    assert file.stem not in ROLES
    assert len(file.read_text().splitlines()) <= 320


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_a_modules_first_line_says_what_the_room_is_for(file: Path) -> None:
    if file.name not in ("__main__.py", "__init__.py"):
        assert ast.get_docstring(ast.parse(file.read_text())), f"{file} has no docstring"


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_point_down(file: Path) -> None:
    room = file.relative_to(ROOT).parts[0]
    name = file.relative_to(ROOT).parts[1] if room in ("agents", "tools") else room
    used = imports_of(file)
    if room == "meshwright":
        assert not used & {*AGENTS, *TOOLS, "shop", "orchestrator", "aggregator", "console", "evals"}
    if room in ("orchestrator", "aggregator"):
        assert not used & {*AGENTS, *TOOLS, "shop"}
    if room == "console":
        assert not used & {*AGENTS, *TOOLS, "shop", "orchestrator", "aggregator", "evals"}
    if room == "agents":
        assert not used & ({*AGENTS, *TOOLS, "shop"} - {name})
    if room == "tools":
        assert not used & {*AGENTS, "orchestrator", "aggregator"}


@pytest.mark.parametrize(
    "module", [f"{name}.agent" for name in (*AGENTS, "aggregator")] + ["meshwright.errors"]
)
def test_importing_an_agent_works_offline_in_an_empty_environment_and_drags_nothing_in(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    run = subprocess.run(
        [sys.executable, "-c", code], env={}, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not set(run.stdout.split()) & HEAVY


def test_litellm_is_not_imported_before_a_model_is_asked() -> None:
    code = "import sys, meshwright.inbound.server, meshwright.outbound.model; print('litellm' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_every_agent_has_a_card_and_every_card_an_agent() -> None:
    assert set(agent_cards.names()) == {*AGENTS, "orchestrator", "aggregator"}


def test_the_published_schemas_are_those_of_the_code() -> None:
    folder = ROOT / "agent_cards" / "schemas"
    assert {file.name: file.read_text() for file in folder.glob("*.json")} == schemas()


def test_nothing_is_caught_that_was_not_expected() -> None:
    broad = []
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ExceptHandler):
                kind = node.type
                last = node.body[-1]
                passes_on = isinstance(last, ast.Raise) and last.exc is None
                if kind is None or (isinstance(kind, ast.Name) and kind.id in WIDE and not passes_on):
                    broad.append(f"{file}:{node.lineno}")
    assert broad == []
