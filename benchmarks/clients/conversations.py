# What it imports is in other environments than mypy's.
# mypy: ignore-errors
"""Conversations with our agent, held by the A2A clients of other frameworks as their users call them; each in an environment of its own.

python conversations.py NAME URL
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from uuid import uuid4

#: Seconds that one scenario may take.
PATIENCE = 20.0


async def a2a_sdk(url, stream, binding):
    import grpc
    import httpx
    from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
    from a2a.types import Message, Part, Role, SendMessageRequest

    http = httpx.AsyncClient(timeout=PATIENCE)
    card = await A2ACardResolver(http, url).get_agent_card()
    taken = {"supported_protocol_bindings": [binding], "grpc_channel_factory": grpc.aio.insecure_channel}
    client = ClientFactory(ClientConfig(httpx_client=http, streaming=stream, **taken)).create(card)
    waiting = ""

    async def say(words):
        nonlocal waiting
        message = Message(message_id=uuid4().hex, role=Role.ROLE_USER, task_id=waiting)
        message.parts.append(Part(text=words))
        told = [each async for each in client.send_message(SendMessageRequest(message=message))]
        waiting = told[0].task.id if "INPUT_REQUIRED" in str(told[-1]) else ""
        return " ".join(map(str, told))

    return say


async def a2a_sdk_of_0_3(url, stream, binding):
    import httpx
    from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
    from a2a.types import Message, Part, Role, TextPart

    http = httpx.AsyncClient(timeout=PATIENCE)
    card = await A2ACardResolver(http, url).get_agent_card()
    taken = {"supported_transports": [binding.removesuffix(" 0.3")], "use_client_preference": True}
    client = ClientFactory(ClientConfig(httpx_client=http, streaming=stream, **taken)).create(card)
    waiting = None

    async def say(words):
        nonlocal waiting
        parts = [Part(root=TextPart(text=words))]
        message = Message(message_id=uuid4().hex, role=Role.user, parts=parts, task_id=waiting)
        async for each in client.send_message(message):
            task, _ = each
        waiting = task.id if task.status.state == "input-required" else None
        return task.model_dump_json()

    return say


async def google_adk(url, stream, binding):
    from google.adk.agents.remote_a2a_agent import RemoteA2aAgent
    from google.adk.runners import InMemoryRunner
    from google.genai import types

    agent = RemoteA2aAgent(name="clerk", agent_card=f"{url}/.well-known/agent-card.json")
    runner = InMemoryRunner(agent=agent, app_name="clients")
    session = await runner.session_service.create_session(app_name="clients", user_id="somebody")

    async def say(words):
        message = types.Content(role="user", parts=[types.Part(text=words)])
        told = runner.run_async(user_id="somebody", session_id=session.id, new_message=message)
        return " ".join([event.model_dump_json() async for event in told])

    return say


async def strands_agents(url, stream, binding):
    from strands.agent.a2a_agent import A2AAgent

    async def say(words):
        return str(await A2AAgent(url).invoke_async(words))

    return say


async def agent_framework(url, stream, binding):
    import httpx
    from a2a.client import A2ACardResolver
    from agent_framework.a2a import A2AAgent

    async with httpx.AsyncClient() as http:
        card = await A2ACardResolver(http, url).get_agent_card()
    agent = A2AAgent(name="clerk", agent_card=card)
    session = agent.create_session()

    async def say(words):
        if not stream:
            return (await agent.run(words, session=session)).text
        return " ".join([told.text async for told in agent.run(words, session=session, stream=True)])

    return say


async def ag2(url, stream, binding):
    from ag2 import Agent
    from ag2.a2a import A2AConfig
    from ag2.a2a.errors import A2ATaskFailedError

    asked, replies = [], []

    async def answer(request):
        asked.append(str(request))
        return "M"

    agent = Agent("clerk", config=A2AConfig(card_url=url, streaming=stream), hitl_hook=answer)

    async def say(words):
        try:
            replies.append(await (replies[-1] if replies else agent).ask(words))
        except A2ATaskFailedError as error:
            return str(error)
        return " ".join([*asked, str(replies[-1].body)])

    return say


ALL = ("send", "stream", "again", "ask", "answer", "fail")
#: Who calls, over what, and what it can: adk and strands always stream, and strands goes on with no task.
FRAMEWORKS = {
    "a2a-sdk": (a2a_sdk, ("JSONRPC", "HTTP+JSON", "GRPC"), ALL),
    "a2a-sdk-0.3": (a2a_sdk_of_0_3, ("JSONRPC 0.3", "HTTP+JSON 0.3"), ALL),
    "google-adk": (google_adk, ("",), ALL[1:]),
    "strands-agents": (strands_agents, ("",), ("stream", "ask", "fail")),
    "agent-framework": (agent_framework, ("",), ALL),
    "ag2": (ag2, ("",), ALL),
}
#: What is said in each scenario, and what is to be heard. AG2 hears of a failure that there was one.
SCENARIOS = {
    "send": (("hello",), "echo: hello"),
    "stream": (("hello",), "echo: hello"),
    "again": (("hello", "more"), "echo: hello.*echo: more"),
    "ask": (("ask",), "Which size"),
    "answer": (("ask", "M"), "size M"),
    "fail": (("fail",), "internal error|STATE_FAILED"),
}


async def outcome(connect, url, binding, scenario):
    """True if it went as it should; else what was wrong."""
    words, pattern = SCENARIOS[scenario]

    async def converse():
        say = await connect(url, scenario != "send", binding)
        return " ".join([await say(each) for each in words])

    work = asyncio.ensure_future(converse())
    if not (await asyncio.wait({work}, timeout=PATIENCE))[0]:
        return "it came to no end"
    if error := work.exception():
        return f"{type(error).__name__}: {error}"[:300]
    return bool(re.search(pattern, work.result(), re.DOTALL)) or f"it heard {work.result()}"[:300]


async def main():
    connect, bindings, scenarios = FRAMEWORKS[sys.argv[1]]
    rows = {
        binding: {each: await outcome(connect, sys.argv[2], binding, each) for each in scenarios}
        for binding in bindings
    }
    print(json.dumps(rows), flush=True)


asyncio.run(main())
