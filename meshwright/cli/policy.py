"""`meshwright policy`: checks a policy, runs its tests, and says why it decides as it does. Starts nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshwright.cli.console import FAILED, Json, Trouble, emit, out, plain, settings_in_words

if TYPE_CHECKING:
    from meshwright.policy import Policy

app = typer.Typer(no_args_is_help=True, help="What may be applied, and what waits for people.")

#: The folder that an orchestrator would be started with: who tries a policy means that one.
FOLDER_VARIABLE = "MESHWRIGHT_POLICY"

FolderArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="DIR",
        envvar=FOLDER_VARIABLE,
        help="The policy's folder; without it the one that comes along.",
    ),
]


@app.command()
def check(folder: FolderArgument = None, json_: Json = False) -> None:
    """Whether the files are right: the rules fit their schema, each has its id, source and reason."""
    policy, place = _load(folder)
    rules = policy.rulebook.rules
    if json_:
        emit({"policy": str(place), "digest": policy.digest, "rules": [rule.id for rule in rules]})
        return
    permits = sum(rule.permits for rule in rules)
    said = f"{place}: {permits} rules permit, {len(rules) - permits} forbid; {policy.digest[:12]}"
    out().print(said, markup=False, soft_wrap=True)


@app.command("test")
def try_cases(folder: FolderArgument = None, json_: Json = False) -> None:
    """Run the cases in DIR/tests. Ends with 1 when one fails, or when a rule is decided by none."""
    from meshwright.policy import cases

    policy, place = _load(folder)
    with settings_in_words():
        results = cases.run(policy, place / "tests")
    if not results:
        raise Trouble(f"there are no cases in {place / 'tests'}: write what should come of what")
    missed, wrong = cases.untested(policy, results), [result for result in results if not result.right]
    if json_:
        failed = [{"file": r.file, "case": r.name, "expected": r.expected, "was": r.was} for r in wrong]
        emit({"cases": len(results), "failed": failed, "untested": missed})
    else:
        for result in results:
            _print(f"{'  ' if result.right else '! '}{result.file[:-5]:<12} {result.was:<12} {result.name}")
            if not result.right:
                _print(f"    expected {result.expected}; decided by {', '.join(result.rules)}")
        _print(
            f"{len(results)} cases, {len(wrong)} wrong; {len(missed)} of {len(policy.rulebook.rules)} rules untested"
        )
        for name in missed:
            _print(f"! no case has ever decided {name}")
    if wrong or missed:
        raise typer.Exit(FAILED)


@app.command()
def explain(
    action: Annotated[str, typer.Argument(metavar="ACTION")],
    facts: Annotated[
        Path,
        typer.Option(
            "--facts", exists=True, dir_okay=False, help="JSON: the proposal, what is known, and the facts."
        ),
    ],
    approvals: Annotated[int, typer.Option(help="How many people have approved.", min=0, max=5)] = 0,
    folder: Annotated[
        Path | None, typer.Option("--policy", envvar=FOLDER_VARIABLE, help="The policy's folder.")
    ] = None,
    json_: Json = False,
) -> None:
    """What would become of a proposal, by which rules, and where its arguments come from."""
    from meshwright.policy import cases

    policy, _ = _load(folder)
    judgement = cases.decide(policy, {**_told(facts), "action": action}, approvals)
    verdict = judgement.verdict
    if json_:
        emit({**verdict.model_dump(), "provenance": judgement.provenance, "errors": judgement.errors})
        return
    who = f" by {verdict.approvals}" if verdict.decision == "review" else ""
    _print(f"{verdict.decision}{who} (risk {verdict.risk}): {verdict.why}")
    rules = {rule.id: rule for rule in policy.rulebook.rules}
    for name in verdict.policy.split(", "):
        _print(f"  {name}" + (f" ({rules[name].file}): {rules[name].source}" if name in rules else ""))
    for name, source in judgement.provenance.items():
        _print(f"  {name}: {source}")
    for error in judgement.errors:
        _print(f"  {error}")


def _load(folder: Path | None) -> tuple[Policy, Path]:
    from meshwright.policy import Policy
    from meshwright.policy.rules import shipped_policy

    with settings_in_words():
        place = folder or shipped_policy()
        return Policy.load(place), place


def _told(file: Path) -> dict[str, Any]:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise Trouble(f"cannot read {file}: {error}") from None
    if not isinstance(told, dict):
        raise Trouble(f"{file}: it must be an object with `proposal`, `agent`, and the facts by their names")
    return told


def _print(line: str) -> None:
    out().print(plain(line), markup=False, soft_wrap=True)
