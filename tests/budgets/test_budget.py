"""A budget within one process: bounds that hold, claims that are not believed, and money beside tokens."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshwright.budget import USEFUL, Amount, Budget, Price, used_in
from meshwright.errors import BudgetExhausted, InvalidRequest, PeerRefused, PeerTaskFailed, PeerUnreachable
from meshwright.outbound.answers import cost_of
from meshwright.outbound.usage import Asked, fewest, judged, sized
from meshwright.settings import Settings, SettingsError

PRICE = Price(read=3_000_000, written=15_000_000)


async def test_an_answer_gets_the_room_that_is_left_and_no_call_is_made_for_less_than_is_useful() -> None:
    budget = Budget(100)
    first = await budget.hold(20, 2000)
    assert (first.room, budget.left) == (80, 0)
    await first.settle(Amount(30))
    assert (budget.spent, budget.reserved, budget.left) == (30, 0, 70)
    await (await budget.hold(70 - USEFUL, 2000)).settle(Amount(0))
    with pytest.raises(BudgetExhausted, match="tokens are needed and 70 of 100 are left"):
        await budget.hold(71 - USEFUL, 2000)
    assert budget.exhausted


async def test_a_cap_on_one_call_is_a_cap_on_each() -> None:
    budget = Budget(1000, call=Amount(tokens=100))
    assert [(await budget.hold(40, 2000)).amount.tokens for _ in range(3)] == [100] * 3
    with pytest.raises(BudgetExhausted, match="one call may have 100"):
        await budget.hold(90, 2000)


async def test_money_is_reserved_beside_tokens_and_rounded_up() -> None:
    budget = Budget(10_000, micros=1_000)
    hold = await budget.hold(100, 2000, PRICE)
    assert hold.amount.micros == PRICE.cost(100, hold.room) <= 1_000
    assert hold.room == (1_000 - 300) // 15
    assert Price(1, 1).cost(1, 0) == 1
    await hold.settle(None)
    assert budget.paid == hold.amount.micros
    with pytest.raises(BudgetExhausted):
        await budget.hold(100, 2000, PRICE)


async def test_where_money_is_limited_a_model_without_a_price_is_not_asked() -> None:
    with pytest.raises(BudgetExhausted, match="price"):
        await Budget(1000, micros=10**9).hold(10, 100, None)


async def test_the_callers_limit_can_only_be_lower_than_ours() -> None:
    def of(**headers: str) -> Budget:
        given = {f"x-mesh-budget-{name}": value for name, value in headers.items()}
        return Budget.from_headers(given, default=100, micros=50)

    assert (of(tokens="7", micros="9").limit, of(tokens="7", micros="9").micros) == (7, 9)
    assert (of(tokens="700", micros="900").limit, of(tokens="700", micros="900").micros) == (100, 50)
    assert (of().limit, of().micros) == (100, 50)
    assert of(tokens="0").limit == 0
    with pytest.raises(InvalidRequest, match="x-mesh-budget-micros"):
        of(micros="-1")


ASKED = Asked(prompt=1000, fewest=40)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        "many",
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        {"prompt_tokens": -5, "completion_tokens": 5},
        {"prompt_tokens": True, "completion_tokens": 5},
        {"prompt_tokens": 1, "completion_tokens": 50},
        {"prompt_tokens": 100, "completion_tokens": 1},
        {"prompt_tokens": 100.5, "completion_tokens": 40},
        {"prompt_tokens": 39, "completion_tokens": 40},
        {"prompt_tokens": 100, "completion_tokens": 29},
    ],
)
def test_a_claim_that_is_missing_or_too_small_to_be_true_charges_all(usage: Any) -> None:
    charge, doubt = judged(usage, ASKED, room=200, answer=30, price=None)
    assert charge is None
    assert doubt


def test_a_claim_above_what_was_asked_for_is_charged_up_to_that_and_doubted() -> None:
    charge, doubt = judged({"prompt_tokens": 9000, "completion_tokens": 9000}, ASKED, 200, 30, PRICE)
    assert charge == Amount(1200, PRICE.cost(1000, 200))
    assert "at most" in doubt


def test_an_honest_claim_is_charged_and_thinking_that_is_in_the_total_only_too() -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 190}
    assert judged(usage, ASKED, 200, 30, PRICE) == (Amount(190, PRICE.cost(100, 90)), "")


def test_a_prompt_has_at_most_a_token_for_each_byte_of_all_that_is_sent() -> None:
    messages = [{"role": "user", "content": "größer 日本"}]
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    plain = sized({"messages": messages})
    assert plain.prompt > len(messages[0]["content"].encode()) > plain.fewest == 2
    assert sized({"messages": messages, "tools": [tool]}).prompt > plain.prompt + 530
    assert sized({"messages": messages, "response_format": {"x": "y" * 500}}).prompt > plain.prompt + 500


@pytest.fixture(scope="module")
def tokenizers() -> list[Any]:
    """Two real ones, from the vocabularies that LiteLLM brings."""
    spec = find_spec("litellm")
    assert spec is not None
    assert spec.origin is not None
    with pytest.MonkeyPatch.context() as patch:
        folder = Path(spec.origin).parent / "litellm_core_utils" / "tokenizers"
        patch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
        tiktoken = pytest.importorskip("tiktoken")
        return [tiktoken.get_encoding(name) for name in ("cl100k_base", "o200k_base")]


PIECES = (
    "a",
    "the ",
    " ",
    "\n",
    "é",
    "日本",
    "1",
    "-",
    "{",
    '"',
    "🙂",
    "internationalization ",
    "x" * 30,
    " " * 20,
)


@settings(max_examples=200, deadline=None)
@given(text=st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=40).map("".join))
def test_no_text_has_fewer_tokens_than_the_fewest_that_are_believed_nor_more_than_bytes(
    text: str, tokenizers: list[Any]
) -> None:
    for tokenizer in tokenizers:
        true = len(tokenizer.encode(text, disallowed_special=()))
        assert fewest([text]) <= true <= len(text.encode())


def test_who_reports_a_small_part_of_a_texts_tokens_is_not_believed(tokenizers: list[Any]) -> None:
    root = Path(__file__).parents[2]
    files = [*root.glob("docs/*.md"), *root.glob("meshwright/*.py"), *root.glob("agent_cards/*.json")]
    for text in (file.read_text() for file in files):
        asked = Asked(prompt=len(text.encode()), fewest=fewest([text]))
        for tokenizer in tokenizers:
            true = len(tokenizer.encode(text))
            part, whole = ({"prompt_tokens": n, "completion_tokens": 1} for n in (int(true / 2.6), true))
            assert judged(part, asked, room=50, answer=1, price=None)[0] is None
            assert judged(whole, asked, room=50, answer=1, price=None) == (Amount(true + 1), "")


def test_thinking_that_shows_in_the_details_only_is_charged_too() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "completion_tokens_details": {"reasoning_tokens": 90},
    }
    assert judged(usage, ASKED, 200, 30, PRICE) == (Amount(190, PRICE.cost(100, 90)), "")


def test_what_is_no_text_cannot_be_bounded_and_is_not_sent() -> None:
    image = [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]
    with pytest.raises(InvalidRequest, match="must be text"):
        sized({"messages": [{"role": "user", "content": image}]})


def test_a_failed_delegation_costs_nothing_only_where_nobody_can_have_begun() -> None:
    assert cost_of(PeerRefused("p", "no"), begun=False) == Amount()
    assert cost_of(PeerRefused("p", "no"), begun=True) is None
    assert cost_of(PeerUnreachable("p", "reset"), begun=False) is None
    refused = PeerUnreachable("p", "refused")
    refused.__context__ = ConnectionRefusedError()
    assert cost_of(refused, begun=False) == Amount()
    told = PeerTaskFailed("p", "it could not")
    told.notes = {"usage": {"tokens": 12, "micros": 3}}
    assert cost_of(told, begun=True) == Amount(12, 3)


@pytest.mark.parametrize(
    "usage", [None, 5, {"tokens": -1}, {"tokens": "9"}, {"tokens": True}, {"tokens": 1, "micros": -1}]
)
def test_usage_that_is_no_number_is_no_usage(usage: Any) -> None:
    assert used_in({"usage": usage}) is None


def test_a_limit_on_money_without_a_price_is_refused_at_start() -> None:
    given = {"MESHWRIGHT_MODEL": "openai/x", "MESHWRIGHT_BUDGET_DAY_MICROS": "5"}
    with pytest.raises(SettingsError, match="MESHWRIGHT_BUDGET_DAY_MICROS needs MESHWRIGHT_PRICE_IN"):
        Settings.from_env(given)
    Settings.from_env({**given, "MESHWRIGHT_PRICE_IN": "0", "MESHWRIGHT_PRICE_OUT": "0"})
