"""`meshwright new agent NAME`.

An agent that runs, passes the linters, and does nothing yet that you would keep.
"""

from __future__ import annotations

import json
import keyword
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from meshwright.cli.console import USAGE, Trouble, out
from meshwright.cli.keys import CUSTOMER, OPERATOR

_NAME = re.compile(r"[a-z][a-z0-9_]{1,39}")

INIT = '''"""{title}: say here in one line what this agent is for."""
'''

MAIN = '''"""`python -m {name}` serves this agent; where and with whom is a setting (MESHWRIGHT_*)."""

from meshwright import serve

if __name__ == "__main__":
    serve("{name}", "{name}.agent:AGENT")
'''

AGENT = '''"""{title}: what it does with one subtask. Nothing happens at import."""

from __future__ import annotations

from meshwright.agent import Agent, Job
from meshwright.findings import Claim, Evidence, Finding, Subtask

INSTRUCTIONS = """\\
Say here who the agent is, what it may claim and on what evidence. Used when MESHWRIGHT_MODEL names a model;
without one the playbook below answers."""


async def playbook(subtask: Subtask, job: Job) -> Finding:
    """Answer by rules: look things up with `await job.tools.call("tool", ...)`, claim only what they say, and
    name what stays open as a Gap. Effects are proposed (`Proposal`), never made here.
    """
    heard = subtask.instruction[:400]
    claim = Claim(text=f"I was asked: {{heard}}", evidence=[Evidence(source="ticket", quote=heard)])
    return Finding(claims=[claim], reply=claim.text)


AGENT = Agent("{name}", playbook=playbook, instructions=INSTRUCTIONS)
'''

app = typer.Typer(no_args_is_help=True, help="Make something new, in the current directory.")


@app.callback()
def new() -> None:
    """Make something new, in the current directory."""


@app.command()
def agent(
    name: Annotated[str, typer.Argument(help="Lower case, as a Python package: billing, second_line.")],
) -> None:
    """Scaffold an agent: agents/NAME and agent_cards/NAME.json."""
    here = Path.cwd()
    folder, card = here / "agents" / name, here / "agent_cards" / f"{name}.json"
    _require_free(name, folder, card)
    title = name.replace("_", " ").capitalize()
    try:
        folder.mkdir(parents=True)
        for file, text in (("__init__", INIT), ("__main__", MAIN), ("agent", AGENT)):
            (folder / f"{file}.py").write_text(text.format(name=name, title=title), encoding="utf-8")
        card.parent.mkdir(exist_ok=True)
        card.write_text(json.dumps(_card(name, title), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise Trouble(f"cannot write {error.filename}: {error.strerror}") from None
    console = out()
    for path in (*sorted(folder.iterdir()), card):
        console.print(f"  {path.relative_to(here)}", markup=False)
    console.print(
        f"run it:  PYTHONPATH=agents MESHWRIGHT_PORT=8430 {Path(sys.executable).name} -m {name}\n"
        "join it: put it into a copy of mesh.toml and `meshwright up --mesh FILE`; an orchestrator that `up` does not start "
        "takes its address in MESHWRIGHT_PEERS",
        markup=False,
        soft_wrap=True,
    )


def _require_free(name: str, folder: Path, card: Path) -> None:
    """Raise Trouble for a name that cannot be a package of its own, or that is taken."""
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise Trouble(f"{name!r} cannot be an agent's name: it is a word of Python's own", USAGE)
    if name in (CUSTOMER, OPERATOR):
        raise Trouble(
            f"{name!r} cannot be an agent's name: it is who asks or decides, with a key of their own", USAGE
        )
    if not _NAME.fullmatch(name):
        raise Trouble(
            f"{name!r} cannot be an agent's name: take a-z, 0-9 and _, beginning with a letter",
            USAGE,
        )
    for path in (folder, card):
        if path.exists():
            raise Trouble(f"{path} exists already: choose another name, or remove it first")
    if name in sys.stdlib_module_names or find_spec(name) is not None:
        raise Trouble(
            f"a Python module called {name!r} is there already and would be run instead: choose another name"
        )


def _card(name: str, title: str) -> dict[str, object]:
    return {
        "name": title,
        "description": f"{title}: say in a sentence what this agent is asked for.",
        "version": "0.1.0",
        "capabilities": {
            "streaming": True,
            "pushNotifications": False,
            "extensions": [{"uri": "urn:meshwright:extension:mesh:v1", "required": False}],
        },
        "defaultInputModes": ["application/json", "text/plain"],
        "defaultOutputModes": ["application/json", "text/plain"],
        "skills": [
            {
                "id": f"{name.replace('_', '-')}-answer",
                "name": f"Answer as {title.lower()}",
                "description": "What can be asked of it; subtasks are routed by this skill's id.",
                "tags": [name.replace("_", "-")],
                "examples": ["An example of a request."],
            }
        ],
    }
