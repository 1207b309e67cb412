"""Inference through LiteLLM, imported when the first call needs it: it costs seconds and 190 MB, and most agents have none.

Every call has a deadline and a reservation: the prompt's upper bound plus `max_tokens` is set aside before, and settled
with the true usage after, as far as it can be believed; what may have been done is paid for. Retries are off; the caller knows what time is left, the library does not.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from meshwright.budget import Amount, Budget, Price
from meshwright.deadline import Deadline
from meshwright.errors import (
    BudgetExhausted,
    MeshError,
    PeerAnsweredBadly,
    PeerOverloaded,
    PeerRefused,
    PeerTimedOut,
    PeerUnreachable,
)
from meshwright.outbound.called import ANY_COUNT, model_called
from meshwright.outbound.lost import never_sent, retry_after
from meshwright.outbound.usage import fewest, judged, sized
from meshwright.records import semconv
from meshwright.records.tracing import CLIENT, Attributes, span
from meshwright.settings import Settings

if TYPE_CHECKING:
    from meshwright.records.minutes import Minutes

log = logging.getLogger(__name__)

#: Tokens one answer may have.
MAX_TOKENS = 2_000
#: Of the statuses that refuse, those that may follow on work: a time that ran out, and a client that a gateway took for gone.
UNSURE = (408, 499)

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """One answer of the model: text, or tools it wants called, and what it cost."""

    text: str
    calls: list[tuple[str, str, str]]
    tokens: int
    message: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Model:
    """A model behind LiteLLM. `url` points to an OpenAI-compatible server or gateway; empty means the provider's own."""

    name: str
    url: str = ""
    key: str = field(default="", repr=False)
    price: Price | None = None
    #: Where each of its answers is written down.
    minutes: Minutes | None = field(default=None, repr=False, compare=False)

    @classmethod
    def from_settings(cls, settings: Settings, minutes: Minutes | None = None) -> Model:
        price = None
        if settings.price_in is not None and settings.price_out is not None:
            price = Price(settings.price_in, settings.price_out)
        return cls(settings.model, settings.model_url, settings.model_key, price, minutes)

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        by: Deadline,
        budget: Budget,
        tools: Sequence[Mapping[str, Any]] = (),
        schema: Mapping[str, Any] | None = None,
        max_tokens: int = MAX_TOKENS,
    ) -> Said:
        """One completion. Raises BudgetExhausted before it costs anything, or a PeerError."""
        asked: dict[str, Any] = {"messages": list(messages)}
        if tools:
            asked["tools"] = list(tools)
        if schema is not None:
            form = {"name": "answer", "schema": dict(schema)}
            asked["response_format"] = {"type": "json_schema", "json_schema": form}
        by.require()
        size = sized(asked)
        hold = await budget.hold(size.prompt, max_tokens, self.price, seconds=by.remaining)
        used: Amount | None = None
        doubt = ""
        try:
            with span(f"{semconv.CHAT} {self.name}", self._attributes(hold.room), kind=CLIENT) as around:
                note, told = self._noting(asked, by, hold.room), dict[str, Any]()
                try:
                    response = await self._complete(asked, by, hold.room)
                    written = fewest(_written(self.name, response))
                    used, doubt = judged(response.get("usage"), size, hold.room, written, self.price)
                    told = _told(response, used, self.price)
                    if around.is_recording():
                        around.set_attributes(told)
                    said = _said(self.name, response)
                except BaseException as error:
                    note(error, told, used)
                    raise
                note(said.message, told, used)
        except MeshError as error:
            # It said no, or never heard of us. Anything else may have been worked on, and billed.
            if isinstance(error, PeerRefused | PeerOverloaded | BudgetExhausted) or never_sent(error):
                used = Amount()
            if isinstance(error, BudgetExhausted):
                budget.exhausted = True
            raise
        finally:
            if doubt:
                log.warning("%s: its usage is not believed: %s", self.name, doubt)
            charged = await hold.settle(used, doubt=doubt)
        return replace(said, tokens=charged.tokens)

    def _noting(
        self, asked: Mapping[str, Any], by: Deadline, room: int
    ) -> Callable[[Mapping[str, Any] | BaseException, Mapping[str, Any], Amount | None], None]:
        """Takes the row of one completion: what it came to, what its span says of it, and what it used."""
        minutes, began, left = self.minutes, time.time(), int(by.remaining * 1000)

        def note(
            came: Mapping[str, Any] | BaseException, told: Mapping[str, Any], used: Amount | None
        ) -> None:
            if minutes is None:
                return
            known = {
                "began": began,
                "deadline_ms": left,
                "tokens_given": room,
                "key": minutes.nth("model_call", ""),
            }
            model_called(minutes, self.name, asked, came, told, micros=used.micros if used else 0, **known)

        return note

    def _attributes(self, room: int) -> Attributes:
        """What a trace tells of a completion before it is there."""
        return {
            semconv.OPERATION: semconv.CHAT,
            semconv.PROVIDER: self.name.partition("/")[0] if "/" in self.name else "openai",
            semconv.REQUEST_MODEL: self.name,
            semconv.MAX_TOKENS: room,
        }

    async def _complete(self, asked: dict[str, Any], by: Deadline, room: int) -> dict[str, Any]:
        given = by.require()
        litellm = await asyncio.to_thread(_litellm)
        try:
            async with asyncio.timeout(by.require()):
                response = await litellm.acompletion(
                    model=self.name,
                    api_base=self.url or None,
                    api_key=self.key or None,
                    max_tokens=room,
                    max_retries=0,
                    timeout=given,
                    temperature=0,
                    **asked,
                )
        except TimeoutError:
            raise PeerTimedOut(self.name, f"no answer within {given:.1f} s") from None
        except litellm.openai.OpenAIError as error:  # the root of all that LiteLLM raises for a provider
            raise self._translated(litellm, error) from None
        return dict(response.model_dump())

    def _translated(self, litellm: Any, error: Any) -> MeshError:
        """By the status that the server answered with. LiteLLM gives one to what it does not like itself, too: that says nothing."""
        if isinstance(error, litellm.exceptions.Timeout):
            return PeerTimedOut(self.name, "the model server did not answer in time")
        headers: Any = getattr(error, "litellm_response_headers", None)
        status = 0 if headers is None else int(getattr(error, "status_code", None) or 0)
        said = getattr(error, "body", None)
        if status in (429, 503, 529) and not _budget_of_a_gateway(said):
            return PeerOverloaded(self.name, "the model server is overloaded", retry_after(headers))
        if 400 <= status < 500 and status not in UNSURE:
            if _budget_of_a_gateway(said):
                return BudgetExhausted("the gateway's budget for this agent is used up")
            return PeerRefused(self.name, f"the model server refused ({status})")
        return PeerUnreachable(self.name, f"the model server failed ({type(error).__name__})")


async def close_clients() -> None:
    """Close the connections that LiteLLM keeps for this process, if it was used."""
    if "litellm" in sys.modules:
        from litellm.llms.custom_httpx.async_client_cleanup import close_litellm_async_clients

        await close_litellm_async_clients()  # type: ignore[no-untyped-call]
        sys.modules["litellm"].in_memory_llm_clients_cache.flush_cache()


def _litellm() -> Any:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it fetches its price list at import
    try:
        import litellm
    except ImportError:
        raise PeerUnreachable("model", "LiteLLM is not installed: pip install 'meshwright[model]'") from None
    litellm.suppress_debug_info = True
    return litellm


def _budget_of_a_gateway(said: Any) -> bool:
    """Whether a LiteLLM gateway says that an agent's dollars are used up, with status 400, 422 or 429 by version."""
    return isinstance(said, Mapping) and said.get("type") == "budget_exceeded"


def _written(name: str, response: Mapping[str, Any]) -> list[str]:
    """All that the model wrote: text, thoughts as far as they are shown, and tool calls, in whatever number of answers."""
    messages = [dict(choice.get("message") or {}) for choice in response.get("choices") or []]
    calls = [call.get("function") or {} for message in messages for call in message.get("tool_calls") or []]
    texts = [message.get(part) for message in messages for part in ("content", "reasoning_content")]
    texts += [function.get(part) for function in calls for part in ("name", "arguments")]
    written = [str(text) for text in texts if text]
    try:
        "".join(written).encode()  # JSON can hold half a letter, which is none
    except UnicodeEncodeError:
        raise PeerAnsweredBadly(name, "its answer is not text") from None
    return written


def _told(response: Mapping[str, Any], used: Amount | None, price: Price | None) -> dict[str, Any]:
    """What a trace tells of a completion: counts and names, never a word of it, and nothing that does not fit onto a span."""
    said = response.get("usage")
    usage = said if isinstance(said, Mapping) else {}
    counts = {semconv.INPUT_TOKENS: "prompt_tokens", semconv.OUTPUT_TOKENS: "completion_tokens"}
    found = ((name, usage.get(key)) for name, key in counts.items())
    told: dict[str, Any] = {name: n for name, n in found if isinstance(n, int) and 0 <= n <= ANY_COUNT}
    told[semconv.RESPONSE_MODEL] = _name(response.get("model"))
    told[semconv.FINISH_REASONS] = [
        _name(choice.get("finish_reason")) for choice in (response.get("choices") or [])[:8]
    ]
    if price is not None and used is not None:
        told[semconv.COST] = used.micros / 1_000_000
    return told


def _name(text: object) -> str:
    return str(text or "")[:100].encode(errors="replace").decode()


def _said(name: str, response: Mapping[str, Any]) -> Said:
    choices = response.get("choices") or []
    message = dict(choices[0].get("message") or {}) if choices else {}
    calls = [
        (str(call.get("id")), str(call["function"]["name"]), str(call["function"].get("arguments") or "{}"))
        for call in message.get("tool_calls") or []
        if isinstance(call, dict) and call.get("function")
    ]
    text = message.get("content") or ""
    if not calls and not text:
        raise PeerAnsweredBadly(name, "the model said nothing")
    return Said(str(text), calls, 0, message)
