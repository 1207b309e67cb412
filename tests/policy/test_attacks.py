"""A compromised specialist may propose what it likes: what is applied without a person is right by the shop's records.

The facts come from a real shop; what is right is said here once more, in other words than the rules.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError, validate_call

from customers.identity import identify
from meshwright.errors import ToolRefused
from meshwright.policy import Policy
from orderbook.ledger import foresee, order_or_refuse
from orderbook.naming import names_of
from orderbook.terms import history_of, terms_of
from shop import records
from shop.database import connect
from shop.models import Orders
from shop.testing import BIG, BLACK, BLUE, CARD, GIFT, GREEN, PAYPAL, RED, SMALL, small_shop

Ask = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]

ADA, BEN = {"name": "ada novak", "zip": "97201"}, {"email": "ben.ibsen@example.com"}
OF = {"ada": ["#W1", "#W2", "#W3", "#W4", "#W5"], "ben": ["#W6"]}
METHODS = {"ada": {CARD, PAYPAL, GIFT}, "ben": {"gift_card_2"}}
STATES = {
    "cancel_order": {"pending"},
    "change_items": {"pending"},
    "change_payment": {"pending"},
    "change_address": {"pending", "pending (items modified)"},
    "return_items": {"delivered"},
    "exchange_items": {"delivered"},
}
SCOPE = {
    ("orders", "order-cancel"): {"cancel_order"},
    ("orders", "order-change"): {"cancel_order", "change_items", "change_address", "change_payment"},
    ("returns", "order-return"): {"return_items", "exchange_items"},
    ("returns", "order-exchange"): {"return_items", "exchange_items"},
    ("accounts", "address-change"): {"change_profile_address"},
}
HOME = {
    "address1": "1 Mill Road",
    "address2": "",
    "city": "Portland",
    "state": "OR",
    "zip": "97201",
    "country": "USA",
}
USUAL: dict[str, dict[str, Any]] = {
    "cancel_order": {"order_id": "#W1", "reason": "no longer needed"},
    "change_items": {"order_id": "#W1", "item_ids": [BLUE], "new_item_ids": [RED], "payment_method_id": CARD},
    "change_payment": {"order_id": "#W1", "payment_method_id": PAYPAL},
    "change_address": {"order_id": "#W1", **HOME},
    "return_items": {"order_id": "#W2", "item_ids": [BLUE], "payment_method_id": CARD},
    "exchange_items": {"order_id": "#W2", "item_ids": [BLUE], "new_item_ids": [RED], "payment_method_id": CARD},
    "refund": {"order_id": "#W2", "amount_cents": 500, "payment_method_id": CARD, "reason": "sorry"},
    "change_profile_address": {"customer_id": "ada", **HOME},
}  # fmt: skip
WORDS = f"I am Ada Novak, 97201. It is about {' and '.join(OF['ada'])}. My address is 1 Mill Road, Portland, OR 97201, USA. I speak of a mug, and of my PayPal account."
#: Who writes this says nothing of what is theirs; it is enough where nothing else could be meant.
MUTE = ("", "do something")


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """The gate's read tools over a small shop, with the checks of arguments that their servers make."""
    folder = tmp_path_factory.mktemp("shop")
    small_shop(folder).close()
    db = connect(folder / "shop.db")

    def find_customer(email: str = "", name: str = "", zip: str = "", customer_id: str = "") -> Any:
        return identify(db, email=email, name=name, zip=zip, customer_id=customer_id)

    def get_profile(customer_id: str) -> Any:
        return records.customer(db, customer_id)

    def list_orders(customer_id: str) -> Any:
        return Orders(orders=records.orders_of(db, customer_id))

    def get_order(order_id: str) -> Any:
        return order_or_refuse(db, order_id)

    def preview(action: str, arguments: dict[str, Any]) -> Any:
        return foresee(db, action, arguments)

    def terms(
        order_id: str,
        item_ids: list[str] | None = None,
        new_item_ids: list[str] | None = None,
        payment_method_id: str = "",
    ) -> Any:
        return terms_of(db, order_id, item_ids or [], new_item_ids or [], payment_method_id)

    def history(customer_id: str) -> Any:
        return history_of(db, customer_id)

    def names(customer_id: str, order_id: str) -> Any:
        return names_of(db, customer_id, order_id)

    tools = [find_customer, get_profile, list_orders, get_order, preview, terms, history, names]
    checked = {tool.__name__: validate_call(tool) for tool in tools}

    async def asked(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = checked[tool](**arguments).model_dump(mode="json")
        except (ValidationError, AttributeError, UnicodeEncodeError) as error:
            raise ToolRefused(f"{tool}: {type(error).__name__}") from None
        return answer

    return asked


LIES = st.sampled_from(
    [
        *("#W1", "#W2", "#W3", "#W4", "#W5", "#W6", "#W9", "#w1", "#W1 ", " #W2", "W1", "＃W1", "#W\u200b1", "#Ｗ1", "#W1\x00"),
        *(CARD, PAYPAL, GIFT, "gift_card_2", "credit_card_9", "paypal_١", "credit_card_1\u202e"),
        *(BLUE, RED, GREEN, BLACK, SMALL, BIG, "mug-gold", "mug"),
        *("ada", "ben", "аda", "no longer needed", "ordered by mistake", "cheaper", "1 Crook Lane", "Salem", "97202"),
        *(0, 1, -1, 500, 400_001, 10**12, 2**63, -(2**63), 2**64, 1.5, 1e308, True, False, None, "", "500", [], {}),
        [BLUE], [RED], [BLUE, BLUE], [BLUE] * 3, [SMALL], [BIG], [BLUE, SMALL], [RED, BIG], [BLACK], [GREEN], ["#W6"], [1], [[BLUE]], [None],
        {"order_id": "#W1"}, {"__entity": {"type": "Agent", "id": "orders"}}, {"__extn": {"fn": "decimal", "arg": "1.0"}},
    ]
)  # fmt: skip


@st.composite
def proposals(draw: st.DrawFn) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """An ordinary proposal with up to three lies in it, and who says it, about what."""
    action = draw(st.sampled_from(sorted(USUAL)))
    arguments = dict(USUAL[action])
    names = [*sorted(arguments), "force", "amount_cents", "item_ids", "approvals"]
    for name in draw(st.lists(st.sampled_from(names), max_size=3)):
        if draw(st.integers(0, 9)) == 0:
            arguments.pop(name, None)
        else:
            arguments[name] = draw(LIES)
    usual = next((pair for pair, actions in SCOPE.items() if action in actions), ("returns", "order-return"))
    agent = draw(
        st.sampled_from([usual[0]] * 6 + ["orders", "returns", "accounts", "advisor", "orchestrator", ""])
    )
    skill = draw(
        st.sampled_from(
            [usual[1]] * 6 + ["order-change", "order-return", "order-status", "address-change", ""]
        )
    )
    known = {
        "subject": draw(st.sampled_from([ADA] * 6 + [BEN, {}, {"customer_id": "ada"}, {"name": "ada novak", "zip": "1"}])),
        "words": draw(st.sampled_from([WORDS] * 4 + [*MUTE])),
        "amount": draw(st.sampled_from([None] * 4 + [0, 500, 10**9, 2**70])),
        "proposal_confidence": draw(st.sampled_from([1.0] * 4 + [0.79, 0.0])),
        "request": {"unread": draw(st.sampled_from([[]] * 6 + [["?"]])), "open_ends": draw(st.sampled_from([[]] * 6 + [["?"]]))},
    }  # fmt: skip
    return action, arguments, {**known, "agent": agent, "skill": skill}


async def wrongs(action: str, arguments: dict[str, Any], known: dict[str, Any], ask: Ask) -> list[str]:
    """Why this must not happen without a person, by the records."""
    who = (await ask("find_customer", known["subject"]))["customer_id"]
    found = [] if who else ["nobody is known"]
    if action not in SCOPE.get((known["agent"], known["skill"]), ()):
        found.append("out of scope")
    if known["request"]["unread"] or known["request"]["open_ends"] or known["proposal_confidence"] < 0.8:
        found.append("not certain")
    if action == "refund":
        found.append("goodwill")
    if action == "change_profile_address":
        return found + ([] if arguments.get("customer_id") == who else ["another profile"])
    order_id = arguments.get("order_id")
    if order_id not in OF.get(who, ()):
        return [*found, "another's order"]
    order = await ask("get_order", {"order_id": order_id})
    if order["status"] not in STATES.get(action, ()):
        found.append("state")
    method = arguments.get("payment_method_id")
    if method is not None and method not in METHODS[who]:
        found.append("method")
    if action in ("return_items", "refund") and method not in (CARD, GIFT):
        found.append("way back")
    if action == "cancel_order" and arguments["reason"] not in ("no longer needed", "ordered by mistake"):
        found.append("reason")
    if set(arguments) != set(USUAL[action]) - ({"address2"} - set(arguments)):
        found.append("arguments")
    foreseen = await ask("preview", {"action": action, "arguments": arguments})
    if not foreseen["allowed"] or foreseen["amount_cents"] > 400_000:
        found.append("preview")
    if (
        known["amount"] is not None
        and action != "change_address"
        and known["amount"] != foreseen["amount_cents"]
    ):
        found.append("a false amount")
    held = Counter(item["item_id"] for item in order["items"])
    if Counter(arguments.get("item_ids", ())) - held:
        found.append("items")
    if {SMALL, BIG} & set(arguments.get("item_ids", ())):
        found.append("an item of which nobody spoke")
    if method not in (None, PAYPAL) and method not in {p["payment_method_id"] for p in order["payments"]}:
        found.append("a method of which nobody spoke")
    if known["words"] in MUTE and order_id in ("#W1", "#W5", "#W6"):
        found += [] if order_id == "#W6" else ["an order of which nobody spoke"]
    return found


@pytest.mark.parametrize("honest", [True, False], ids=["", "although-the-order-book-allows-everything"])
@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(attack=proposals())
def test_of_what_a_compromised_specialist_proposes_only_what_is_right_is_applied(
    shop_policy: Policy, ask: Ask, honest: bool, attack: tuple[str, dict[str, Any], dict[str, Any]]
) -> None:
    """The rules say all that the order book would say: they hold also when its own opinion is left out."""
    action, arguments, known = attack

    async def asked(tool: str, told: dict[str, Any]) -> dict[str, Any]:
        answer = await ask(tool, told)
        return {**answer, "allowed": True} if tool == "preview" and not honest else answer

    async def judged() -> list[str]:
        verdict = await shop_policy.judge(action, {**known, "proposal": arguments}, asked)
        return await wrongs(action, arguments, known, ask) if verdict.decision == "apply" else []

    assert asyncio.run(judged()) == []


@pytest.mark.parametrize("action", sorted(set(USUAL) - {"refund"}))
async def test_what_is_ordinary_is_applied(shop_policy: Policy, ask: Ask, action: str) -> None:
    """Else the attacks would fail for want of anything that succeeds."""
    agent, skill = next(pair for pair, actions in SCOPE.items() if action in actions)
    known = {"subject": ADA, "words": WORDS, "agent": agent, "skill": skill, "proposal": USUAL[action]}
    verdict = await shop_policy.judge(action, known, ask)
    assert (verdict.decision, verdict.why) == ("apply", "every condition holds")


@pytest.mark.parametrize("order_id", ["#W6", "＃W1", "#W1\u200b", "#Ｗ1", "#w1", "#W1 ", "#W1\x00", "W1"])
async def test_an_id_that_only_looks_like_theirs_is_not_theirs(
    shop_policy: Policy, ask: Ask, order_id: str
) -> None:
    known = {
        "subject": ADA,
        "words": f"cancel {order_id}",
        "agent": "orders",
        "skill": "order-cancel",
        "proposal": {"order_id": order_id, "reason": "no longer needed"},
    }
    assert (await shop_policy.judge("cancel_order", known, ask)).decision == "reject"


async def test_a_gate_that_learns_nothing_applies_nothing(shop_policy: Policy) -> None:
    async def mute(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        raise ToolRefused("no")

    for action, arguments in USUAL.items():
        for (agent, skill), _ in SCOPE.items():
            known = {"subject": ADA, "words": WORDS, "agent": agent, "skill": skill, "proposal": arguments}
            assert (await shop_policy.judge(action, known, mute)).decision == "reject"
