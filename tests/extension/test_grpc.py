"""The extension over gRPC: the same names as metadata, the code of a refusal in the trailing metadata."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from a2a.types import Message, Part, Role, SendMessageRequest, TaskState
from a2a.types.a2a_pb2_grpc import A2AServiceStub

from meshwright.testing.processes import free_base


async def send(port: int, *metadata: tuple[str, str], timeout: float | None = None) -> Any:
    message = Message(message_id="m1", role=Role.ROLE_USER, parts=[Part(text="hello")])
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = A2AServiceStub(channel)
        named = [("a2a-version", "1.0"), *metadata]
        return await stub.SendMessage(SendMessageRequest(message=message), metadata=named, timeout=timeout)


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
