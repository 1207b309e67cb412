"""A run as a tree of decisions on a terminal: all that explains it, found by any of its names, whatever the rows say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from meshwright.cli import chains, decided
from meshwright.cli.console import Missing, Trouble
from meshwright.cli.entrance import Entrance
from meshwright.cli.trace import drawn, kinds, notes, title
from tests.unit.decided_run import DECISIONS, PAGE, RUN, Page, row


def shown(*what: Any, width: int = 200) -> str:
    console = Console(width=width, record=True, force_terminal=False, file=open("/dev/null", "w"))  # noqa: SIM115
    for each in what:
        console.print(each)
    console.file.close()
    return console.export_text()


def whole(page: Page, *, full: bool = False, width: int = 200) -> str:
    return shown(title(page), *notes(page), drawn(page, full=full), width=width)


def test_a_run_tells_who_was_asked_and_why_on_which_context_with_what_result_and_what_came_of_it() -> None:
    text = whole(PAGE)
    for said in (
        "✓ run run-1  done  1 min 2 s · 11 decisions of 2 agents · 200 tokens",
        "request cancel #W1 please",
        "spans https://traces.example/ab",
        "! 2 decisions of Returns cannot be had: it does not answer",
        "✓ plan  Triage split the request into 2 parts  planned  41 ms",
        "Part: s1, for whoever offers order-cancel",
        "! route  orchestrator chose Standby for “s1”, who stands in for the agents whose work it is  stand-in",
        "Because: Orders did not answer",
        "Not Orders: its breaker is open",
        "It was given: the request and customer (150 B)",
        "It was not given: email: it is personal, and not needed there",
        "✓ agent_call  orchestrator asked Standby and got an answer  answered  1.2 s · 9.8 s left · 200 tokens of 2,000 · $0.0015",
        "✓ tool_call  standby read get_order  answered  12 ms",
        "Asked with: order_id: #W1",
        "It returned: order_id: #W1, status: pending",
        "✗ tool_call  standby read find_customer, which failed: nobody of that name  failed",
        "It failed: ToolRefused",
        "Fact: order: status: pending, from get_order",
        "Fact: payment: not known: no time was left, from get_payment",
        "model_call  standby asked the model gpt-9: 200 tokens  answered",
        "Standby (believed, 90% sure): cancel_order order_id: #W1 – resting on tool:get_order",
        "Returns (not believed, 40% sure): return_items",
        "! gate  The policy lets a person decide on cancel_order  needs a person",
        "Because: it is a lot",
        "Rule: large-amounts (risk: high)",
        "✓ review  ann approved cancel_order  approved",
        "✓ effect  cancel_order was carried out  applied  9 ms",
        "✓ final  orchestrator ended the request: done",
    ):
        assert said in text, said


def test_what_an_agent_did_stands_below_the_call_that_asked_it() -> None:
    lines = whole(PAGE).splitlines()
    depth = {
        word: next(line.index(word) for line in lines if word in line)
        for word in ("plan  ", "route  ", "agent_call  ", "tool_call  ")
    }
    assert depth["plan  "] < depth["route  "] < depth["agent_call  "] < depth["tool_call  "]


def test_in_full_nothing_is_cut_and_ids_and_facts_are_there() -> None:
    long = {"items": ["x" * 50] * 10, "last": "the end"}
    page = {**PAGE, "decisions": [row("t", "tool_call", 0, outcome="answered", reason="y" * 300 + "!", more={"rounds": [1]},
                                      call={"tool": "look", "server": "shop", "arguments": {}, "result": long, "bytes": 612, "keyed": "h"})]}  # fmt: skip
    brief, full = whole(page), "".join(line.strip(" │") for line in whole(page, full=True).splitlines())
    assert "the end" not in brief
    assert "y!" not in brief
    for said in ("the end", "y!", "Decision: t", "Besides: rounds: (1)", "Server: shop"):
        assert said in full


@pytest.mark.parametrize("width", [40, 80])
def test_no_line_is_wider_than_the_terminal_and_nothing_of_it_is_lost(width: int) -> None:
    text = whole(PAGE, width=width)
    assert max(map(len, text.splitlines())) <= width
    flat = "".join(line.strip(" │└├─") for line in text.splitlines()).replace(" ", "")
    for said in ("itsbreakerisopen", "email:itispersonal", "status:pending", "large-amounts"):
        assert said in flat


HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202e[bold red]ok[/]\r\n\x9b31m\u200b"


def test_text_from_outside_cannot_repaint_the_screen_break_the_tree_or_pass_for_markup() -> None:
    words = dict.fromkeys(
        ("agent", "kind", "outcome", "selected", "reason", "policy", "risk", "person", "subtask"), HOSTILE
    )
    call = {
        "tool": HOSTILE,
        "arguments": {HOSTILE: HOSTILE},
        "result": HOSTILE,
        "error": HOSTILE,
        "server": HOSTILE,
    }
    many = [
        {
            "name": HOSTILE,
            "why_not": HOSTILE,
            "key": HOSTILE,
            "why": HOSTILE,
            "source": HOSTILE,
            "agent": HOSTILE,
            "says": HOSTILE,
        }
    ]
    decision = {"id": "d", "at": 1, **words, "call": call, "evidence": [HOSTILE], "more": {HOSTILE: HOSTILE},
                **dict.fromkeys(("options", "passed", "omitted", "sides"), many)}  # fmt: skip
    for kind in (HOSTILE, "route", "tool_call", "gate"):
        page = {
            "run": {**RUN, "request": HOSTILE, "caller": HOSTILE, "id": HOSTILE},
            "decisions": [{**decision, "kind": kind}],
            "missing": [{"agent": HOSTILE, "why": HOSTILE}],
            "links": {"trace": HOSTILE},
        }
        text = whole(page, full=True)
        assert not set(text) & set("\x1b\x07\u202e\r\x9b\u200b")
        assert "[bold red]ok[/]" in text
        assert "\\u001b" in text, "what is taken off the screen is still seen"


@pytest.mark.parametrize("name", sorted({key for each in DECISIONS for key in each} - {"id"}))
@pytest.mark.parametrize(
    "value",
    [None, 7, 10**400, float("nan"), True, "text", [], [None, 3, "x"], {}, {"tool": 3, "key": []}, [[[]]]],
)
def test_a_row_of_another_version_is_shown_as_far_as_it_goes(name: str, value: Any) -> None:
    page = {**PAGE, "decisions": [{**each, name: value} for each in DECISIONS]}
    assert "run run-1" in whole(page, full=True)


@pytest.mark.parametrize(
    "page", [{}, {"run": 3, "decisions": "no", "missing": {}, "links": []}, {"decisions": [1, None]}]
)
def test_a_page_that_is_none_says_that_nothing_is_known(page: Page) -> None:
    assert "no decisions are known of it" in whole(page)


def test_what_the_mesh_has_cut_is_marked_and_what_ended_a_run_stands_at_its_end() -> None:
    rows = [row("f", "final", 0, outcome="done", reason="as it was…"), row("p", "plan", 1, outcome="planned")]
    text = whole({**PAGE, "decisions": rows})
    assert "as it was…" in text
    assert text.index("plan  ") < text.index("final  ")


def test_an_explanation_that_was_changed_says_so() -> None:
    assert "not what was decided" in whole({**PAGE, "intact": False})
    assert "not what was decided" not in whole({**PAGE, "intact": None})


def test_a_chain_of_many_hops_stays_readable() -> None:
    deep = [
        row(f"d{n}", "agent_call", n, parent=f"d{n - 1}", outcome="answered", selected=f"peer{n}")
        for n in range(200)
    ]
    text = whole({**PAGE, "decisions": deep}, width=100)
    assert all(f"peer{n} " in text for n in range(200))


def test_a_kind_that_does_not_exist_is_refused_with_those_that_do() -> None:
    assert kinds(["gate,tool_call", "plan"]) == {"gate", "tool_call", "plan"}
    with pytest.raises(Trouble, match="there is no kind 'gates': choose from plan, route"):
        kinds(["gates"])


def test_every_kind_and_every_outcome_of_a_known_mood_has_its_mark() -> None:
    assert [decided.mood(word)[1] for word in ("allow", "review", "block", "of tomorrow", "")] == [*"✓!✗··"]


# --- which run is meant


def mesh(answer: Callable[[httpx.Request], httpx.Response]) -> Entrance:
    return Entrance("http://mesh", None, transport=httpx.MockTransport(answer))


def listed(*ids: str) -> list[Page]:
    return [{"id": each, "correlation": f"task-of-{each}", "state": "done"} for each in ids]


def runs(
    *rows: Page, words: dict[str, list[Page]] | None = None
) -> Callable[[httpx.Request], httpx.Response]:
    """A mesh with these runs, the newest first; `words` is what it finds for a `q`."""

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path.split("/")
        if request.url.path == "/runs":
            q = request.url.params.get("q", "")
            found = (words or {}).get(q, []) if q else list(rows)
            return httpx.Response(200, json={"runs": found[: int(request.url.params["limit"])]})
        if path[2] in [each["id"] for each in rows]:
            return httpx.Response(200, json={**PAGE, "run": {"id": path[2]}})
        return httpx.Response(404, json={"error": {"code": 404, "message": f"there is no run {path[2]}"}})

    return answer


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("", "run-b"),
        ("run-a", "run-a"),
        ("task-of-run-a", "run-a"),
        ("run-b", "run-b"),
        ("odd-", "odd-one"),
        ("a task", "run-a"),
    ],
)
async def test_a_run_is_found_by_any_of_its_names(name: str, found: str) -> None:
    known = listed("run-b", "run-a", "odd-one")
    async with mesh(runs(*known, words={"a task": [known[1]]})) as door:
        assert (await chains.chain(door, name))["run"]["id"] == found


async def test_a_name_of_no_run_or_of_two_is_refused_with_a_way_out() -> None:
    async with mesh(runs(*listed("run-b", "run-a"))) as door:
        with pytest.raises(Trouble, match="2 runs begin with 'run-': give more of the id"):
            await chains.chain(door, "run-")
        with pytest.raises(Missing, match="nothing is known of 'else': `meshwright runs`"):
            await chains.chain(door, "else")
        with pytest.raises(Missing):
            await chains.chain(door, "../reviews")
    async with mesh(runs()) as door:
        with pytest.raises(Missing, match="there are no runs yet"):
            await chains.chain(door)


async def test_a_mesh_that_keeps_no_decisions_is_told_apart_from_a_run_without_any() -> None:
    def older(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"id": "run-a"})

    async with mesh(older) as door:
        with pytest.raises(Trouble, match="is it an older mesh"):
            await chains.chain(door, "run-a")


def test_the_rows_of_this_test_are_rows_of_the_model(tmp_path: Path) -> None:
    from meshwright.records.decision import Decision

    for each in DECISIONS:
        Decision.model_validate(json.loads(json.dumps(each)))
