"""The extension over gRPC: the same names as metadata, the code of a refusal in the trailing metadata."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from a2a.types import GetTaskRequest, Message, Part, Role, SendMessageRequest, TaskState
from a2a.types.a2a_pb2_grpc import A2AServiceStub

from meshwright.testing.processes import free_base


async def send(
    port: int, *metadata: tuple[str, str], timeout: float | None = None, at_once: bool = False
) -> Any:
    message = Message(message_id="m1", role=Role.ROLE_USER, parts=[Part(text="hello")])
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = A2AServiceStub(channel)
        named = [("a2a-version", "1.0"), *metadata]
        request = SendMessageRequest(message=message)
        request.configuration.return_immediately = at_once
        return await stub.SendMessage(request, metadata=named, timeout=timeout)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("x-mesh-ancestry", "nonsense", "ANCESTRY_REFUSED"),
        ("x-mesh-deadline-ms", "1e30", "INVALID_REQUEST"),
        ("x-mesh-deadline-ms", "-1", "INVALID_REQUEST"),
    ],
)
async def test_a_refusal_has_its_code_in_the_trailing_metadata(
    keyless: Any, hand: Any, name: str, value: str, code: str
) -> None:
    port = free_base(1)
    await keyless.start("orders", hand().playbook, grpc_port=port)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await send(port, (name, value))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert dict(refused.value.trailing_metadata())["x-mesh-code"] == code


async def test_of_two_deadlines_the_shorter_holds(keyless: Any, hand: Any) -> None:
    port, work = free_base(1), hand()
    await keyless.start("orders", work.playbook, grpc_port=port)
    answer = await send(port, ("x-mesh-deadline-ms", "90000"), timeout=8)
    assert answer.task.status.state == TaskState.TASK_STATE_COMPLETED
    assert work.jobs[0][1].by.remaining < 8


async def test_the_deadline_of_a_call_that_returns_at_once_is_not_that_of_the_work(
    keyless: Any, hand: Any
) -> None:
    port, work = free_base(1), hand()
    await keyless.start("orders", work.playbook, grpc_port=port)
    await send(port, timeout=8, at_once=True)
    await work.began.wait()
    assert work.jobs[0][1].by.remaining > 8


@pytest.mark.parametrize(("version", "served"), [("1.0.1", True), ("1.7", False), ("1.banana", False)])
async def test_a_version_counts_by_its_first_two_numbers(
    keyless: Any, hand: Any, version: str, served: bool
) -> None:
    port = free_base(1)
    await keyless.start("orders", hand().playbook, grpc_port=port)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await A2AServiceStub(channel).GetTask(GetTaskRequest(id="x"), metadata=[("a2a-version", version)])
    expected = grpc.StatusCode.NOT_FOUND if served else grpc.StatusCode.FAILED_PRECONDITION
    assert refused.value.code() == expected
