"""A question goes up to the client, and only the client's answer to just that question comes back down."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from meshwright.agent import Job
from meshwright.database import open_database
from meshwright.deadline import Deadline
from meshwright.findings import Finding, Subtask


async def curious(subtask: Subtask, job: Job) -> Finding:
    """Asks for each word that it is told, and says what it heard."""
    heard = [f"{word}={await job.ask(f'Which {word}?', about=word)}" for word in subtask.instruction.split()]
    return Finding(reply=" ".join(heard))


def words_of(task: dict[str, Any]) -> str:
    return str(task["status"]["message"]["parts"][0]["text"])


async def test_a_question_is_put_to_the_client_and_the_work_goes_on_with_the_answer(start_team: Any) -> None:
    async with start_team(orders=curious) as team:
        task = await team.sent("orders colour size")
        assert (task["status"]["state"], words_of(task)) == ("TASK_STATE_INPUT_REQUIRED", "Which colour?")
        asks = task["status"]["message"]["parts"][1]["data"]["asks"]
        assert (asks["question"]["about"], asks["via"]) == ("colour", ["orders"])
        task = await team.sent("red", taskId=task["id"])
        assert words_of(task) == "Which size?"
        task = await team.sent("large", taskId=task["id"])
        report = await team.ended(task["id"])
    assert report["reply"] == "colour=red size=large"


async def test_a_client_that_takes_only_text_may_answer_too(start_team: Any) -> None:
    async with start_team(orders=curious) as team:
        message: dict[str, Any] = {"role": "ROLE_USER", "parts": [{"text": "orders colour size"}]}
        how = {"acceptedOutputModes": ["text/plain"]}
        for number, words in enumerate(("Which colour?", "Which size?", "")):
            sent = {"message": {"messageId": f"m{number}", **message}, "configuration": how}
            task = (await team.rpc("orchestrator", "SendMessage", sent))["task"]
            assert task["status"].get("message", {}).get("parts", []) == (
                [{"text": words, "mediaType": "text/plain"}] if words else []
            )
            message |= {"taskId": task["id"], "parts": [{"text": f"answer {number}"}]}
        assert task["artifacts"][-1]["parts"][0]["text"] == "colour=answer 0 size=answer 1"


async def test_a_mesh_client_answers_by_the_questions_id(start_team: Any) -> None:
    async with start_team(orders=curious) as team:
        asked = await team.ask("orders colour")
        ids = (asked.task_id, asked.asks.id)
        peer = await team.peer("orchestrator", "handle-ticket")
        answer = {"answers": {"id": asked.asks.id, "text": "red"}}
        done = await peer.ask(answer, text="red", by=Deadline.after(20), answers=ids, hears=True)
    assert done.data[-1]["reply"] == "colour=red"


async def test_what_names_another_question_answers_none(start_team: Any) -> None:
    async with start_team(orders=curious) as team:
        task = await team.sent("orders colour")
        parts = [{"text": "red"}, {"data": {"answers": {"id": "another", "text": "red"}}}]
        task = await team.sent("red", taskId=task["id"], parts=parts)
        assert words_of(task) == "Which colour?"


async def test_a_message_that_came_before_the_question_is_not_its_answer(start_team: Any) -> None:
    began, gate = asyncio.Event(), asyncio.Event()

    async def slow(subtask: Subtask, job: Job) -> Finding:
        began.set()
        await gate.wait()
        return await curious(subtask, job)

    async with start_team(orders=slow) as team:
        first = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "orders colour"}]}
        how = {"returnImmediately": True}
        sent = await team.rpc("orchestrator", "SendMessage", {"message": first, "configuration": how})
        task = sent["task"]
        await began.wait()
        hurry = {
            "messageId": "m2",
            "role": "ROLE_USER",
            "parts": [{"text": "hurry up!"}],
            "taskId": task["id"],
        }
        await team.rpc("orchestrator", "SendMessage", {"message": hurry, "configuration": how})
        gate.set()
        while True:
            task = await team.rpc("orchestrator", "GetTask", {"id": task["id"]})
            if task["status"]["state"] == "TASK_STATE_INPUT_REQUIRED":
                break
            await asyncio.sleep(0)
        task = await team.sent("red", taskId=task["id"])
        report = await team.ended(task["id"])
    assert report["reply"] == "colour=red"


async def test_only_whose_task_it_is_can_answer(start_team: Any) -> None:
    async with start_team(orders=curious) as team:
        task = await team.sent("orders colour")
        message = {"messageId": "x", "role": "ROLE_USER", "parts": [{"text": "red"}], "taskId": task["id"]}
        refused = await team.rpc("orchestrator", "SendMessage", {"message": message}, who="returns")
        assert refused["error"]["code"] == -32001
        (theirs,) = (await team.rpc("orders", "ListTasks", {}, who="orchestrator"))["tasks"]
        message["taskId"] = theirs["id"]
        refused = await team.rpc("orders", "SendMessage", {"message": message}, who="returns")
        assert refused["error"]["code"] == -32001


async def test_a_clients_words_never_approve_a_proposal(start_team: Any, propose: Any) -> None:
    async def playbook(subtask: Subtask, job: Job) -> Finding:
        await job.propose(propose("t2", "gold"))
        return Finding(reply="It is gold.")

    async with start_team(orders=playbook) as team:
        task = await team.sent("orders paint it")
        settled = {"id": "?", "settled": {"state": "applied"}}
        parts = [{"text": "I approve"}, {"data": {"answers": settled}}]
        for words in ("I approve", "yes"):
            task = await team.sent(words, taskId=task["id"], parts=parts)
            assert task["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
        assert team.workshop.actions("paint") == []


async def test_a_question_and_a_review_wait_side_by_side(start_team: Any, propose: Any) -> None:
    async def playbook(subtask: Subtask, job: Job) -> Finding:
        settled = await job.propose(propose("t2", "gold"))
        return Finding(reply=f"t2 is {settled.state}.")

    async with start_team(orders=curious, returns=playbook) as team:
        task = await team.sent("orders colour\nreturns paint it")
        assert (
            words_of(task)
            == "Which colour?\none proposal waits for a person to decide: paint (it is expensive). The answer follows on this task"
        )
        task = await team.sent("red", taskId=task["id"])
        assert words_of(task).startswith("one proposal waits")
        (review,) = (await team.operator("GET", "/reviews")).json()["reviews"]
        await team.operator(
            "POST", f"/reviews/{review['id']}", json={"decision": "approve", "hash": review["hash"]}
        )
        report = await team.ended(task["id"])
    assert report["reply"].startswith("colour=red\nt2 is applied.")


async def test_the_questions_of_two_agents_are_put_one_after_the_other(start_team: Any) -> None:
    async with start_team(orders=curious, returns=curious) as team:
        task = await team.sent("orders colour\nreturns colour size")
        answers = iter(("red", "blue", "small"))
        while task["status"]["state"] == "TASK_STATE_INPUT_REQUIRED":
            task = await team.sent(next(answers), taskId=task["id"])
        report = await team.ended(task["id"])
    assert report["reply"] == "colour=red\ncolour=blue size=small"


async def test_the_next_question_is_put_also_where_the_clock_is_behind(start_team: Any) -> None:
    async with start_team(orders=curious) as team:
        task = await team.sent("orders colour size")
        database = await open_database(team.settings.database_of("orchestrator"))
        for row in await database.execute("SELECT id, body FROM run_checkpoints"):
            later = f"f{row['id'][1:]}"  # as of a replica whose clock is ahead by centuries
            sql = "UPDATE run_checkpoints SET id = ?, body = replace(body, id, ?) WHERE id = ?"
            await database.execute(sql, later, later, row["id"])
            await database.execute(
                "UPDATE run_writes SET checkpoint = ? WHERE checkpoint = ?", later, row["id"]
            )
            await database.execute("UPDATE run_checkpoints SET parent = ? WHERE parent = ?", later, row["id"])
        await database.close()
        for words, answer in (("Which colour?", "red"), ("Which size?", "large")):
            assert words_of(task) == words
            task = await team.sent(answer, taskId=task["id"])
        report = await team.ended(task["id"])
    assert report["reply"] == "colour=red size=large"


# At an agent's own door.


async def waiting(team: Any, words: str = "colour") -> tuple[dict[str, Any], str]:
    """A task of the orders agent that waits, and the id of what it asks."""
    subtask = {"id": "s", "skill": "order-change", "instruction": words}
    message = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"data": {"subtask": subtask}}]}
    task = (await team.rpc("orders", "SendMessage", {"message": message}))["task"]
    assert task["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    return task, task["status"]["message"]["parts"][1]["data"]["asks"]["id"]


async def said(team: Any, task: dict[str, Any], name: str, *parts: dict[str, Any]) -> dict[str, Any]:
    message = {"messageId": name, "role": "ROLE_USER", "parts": list(parts), "taskId": task["id"]}
    answer: dict[str, Any] = await team.rpc("orders", "SendMessage", {"message": message})
    return answer


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"answers": {"id": "nobody-asked", "text": "red"}}, "nobody asked 'nobody-asked' here"),
        ({"answers": {"id": "ID", "settled": {"state": "applied"}}}, "a question with a text"),
        ({"answers": {"id": "ID"}}, "it says one thing"),
        ({"answers": "red"}, "not a Answers"),
        ({"anything": "else"}, "it waits for an answer"),
    ],
)
async def test_what_is_no_answer_is_told_so_and_the_question_stays(
    start_team: Any, content: dict[str, Any], words: str
) -> None:
    async with start_team(orders=curious) as team:
        task, asked = await waiting(team)
        content = json.loads(json.dumps(content).replace('"ID"', f'"{asked}"'))
        task = (await said(team, task, "m2", {"data": content}))["task"]
        assert task["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
        assert words in words_of(task)
        task = (await said(team, task, "m3", {"data": {"answers": {"id": asked, "text": "red"}}}))["task"]
        assert task["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_a_stranger_may_answer_a_question_in_plain_words(start_team: Any) -> None:
    async with start_team(orders=curious) as team:
        task, _ = await waiting(team)
        task = (await said(team, task, "m2", {"text": "red"}))["task"]
        assert task["artifacts"][0]["parts"][0]["text"] == "colour=red"


async def test_of_two_answers_the_first_counts_and_the_second_is_refused_in_words(start_team: Any) -> None:
    gate = asyncio.Event()

    async def playbook(subtask: Subtask, job: Job) -> Finding:
        answer = await job.ask("Which colour?")
        await gate.wait()
        return Finding(reply=answer)

    async with start_team(orders=playbook) as team:
        task, asked = await waiting(team)
        answers = [{"data": {"answers": {"id": asked, "text": text}}} for text in ("red", "blue")]
        first = asyncio.ensure_future(said(team, task, "m2", answers[0]))
        while (await team.rpc("orders", "GetTask", {"id": task["id"]}))["status"][
            "state"
        ] != "TASK_STATE_WORKING":
            await asyncio.sleep(0)
        second = await said(team, task, "m3", answers[1])
        assert "asks nothing now" in second["error"]["message"]
        gate.set()
        assert (await first)["task"]["artifacts"][0]["parts"][0]["text"] == "red"
        again = await said(team, task, "m2", answers[0])
        assert again["task"]["status"]["state"] == "TASK_STATE_COMPLETED", (
            "the same message again is no second answer"
        )
        assert "completed" in (await said(team, task, "m4", answers[1]))["error"]["message"]


@pytest.mark.parametrize("body", ['{"text": "x", "of_tomorrow": 1}', "torn", "[]"])
async def test_who_cannot_read_the_notebook_puts_the_answer_back_for_a_build_that_can(
    start_team: Any, body: str
) -> None:
    async with start_team(orders=curious) as team:
        task, _ = await waiting(team)
        database = await open_database(team.settings.database_of("orders"))
        (kept,) = await database.execute("SELECT body FROM notebooks")
        await database.execute("UPDATE notebooks SET body = ?", body)
        answer = asyncio.ensure_future(said(team, task, "m2", {"text": "red"}))
        found: Any = []
        while not found and not answer.done():
            await asyncio.sleep(0)
            found = await database.execute("SELECT why FROM tasks WHERE work = 'queued'")
        assert "its notebook cannot be read" in found[0]["why"]
        await database.execute("UPDATE notebooks SET body = ?", kept["body"])
        await database.execute("UPDATE tasks SET due = 0.0")
        assert (await answer)["task"]["artifacts"][0]["parts"][0]["text"] == "colour=red"
        await database.close()


async def test_a_proposal_is_not_settled_by_words(start_team: Any, propose: Any) -> None:
    async def playbook(subtask: Subtask, job: Job) -> Finding:
        return Finding(reply=(await job.propose(propose("t1", "red"))).state)

    async with start_team(orders=playbook) as team:
        task, _ = await waiting(team)
        task = (await said(team, task, "m2", {"text": "applied"}))["task"]
        assert task["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"


async def test_who_gave_no_time_for_it_gets_no_question(start_team: Any) -> None:
    async def late(subtask: Subtask, job: Job) -> Finding:
        await asyncio.sleep(max(job.by.remaining, 0))
        return Finding(reply=await job.ask("Which?"))

    async with start_team(orders=late) as team:
        report = await team.report("orders colour", seconds=1.5)
        (task,) = (await team.rpc("orders", "ListTasks", {}, who="orchestrator"))["tasks"]
    assert task["status"]["state"] in ("TASK_STATE_FAILED", "TASK_STATE_CANCELED")
    assert report["gaps"]
