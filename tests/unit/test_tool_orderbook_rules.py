"""The handbook's rules for orders, one sentence at a time, over an order made for it."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from meshwright.errors import ToolRefused
from orderbook.lines import Catalogue
from orderbook.rules import RULES, Change
from orderbook.wishes import WISHES
from shop.models import (
    Address,
    Customer,
    Order,
    OrderItem,
    OrderStatus,
    Payment,
    PaymentMethod,
    Product,
    Request,
    Variant,
)

HOME = Address(address1="1 Mill Road", city="Portland", state="OR", zip="97201", country="USA")
ADA = Customer(
    customer_id="ada",
    first_name="Ada",
    last_name="Novak",
    email="ada@example.com",
    address=HOME,
    payment_methods=[
        PaymentMethod(id="card", kind="credit_card", brand="visa", last_four="1234"),
        PaymentMethod(id="paypal", kind="paypal"),
        PaymentMethod(id="gift", kind="gift_card", balance_cents=3000),
    ],
    orders=["#W1"],
)
PRICES = {"blue": 1000, "red": 1500, "green": 800, "black": 900, "gold": 9000}
MUG = Product(
    product_id="mug",
    name="Mug",
    variants=[
        Variant(item_id=color, options={"color": color}, available=color != "black", price_cents=price)
        for color, price in PRICES.items()
    ],
)
LAMP = Product(
    product_id="lamp",
    name="Lamp",
    variants=[Variant(item_id="lamp", options={}, available=True, price_cents=4000)],
)
CATALOGUE: Catalogue = {**{v.item_id: MUG for v in MUG.variants}, "lamp": LAMP}


def line(color: str) -> OrderItem:
    return OrderItem(
        item_id=color, product_id="mug", name="Mug", options={"color": color}, price_cents=PRICES[color]
    )


def order(status: OrderStatus = "pending", *colors: str, paid_with: str = "card", **fields: Any) -> Order:
    items = [line(color) for color in colors or ("blue", "blue", "red")]
    total = sum(item.price_cents for item in items)
    payments = [Payment(kind="payment", amount_cents=total, payment_method_id=paid_with)]
    return Order(
        order_id="#W1",
        customer_id="ada",
        status=status,
        address=HOME,
        items=items,
        total_cents=total,
        **{"payments": payments, **fields},
    )


def decide(action: str, on: Order, **arguments: Any) -> Change:
    wish = WISHES[action].model_validate({"order_id": on.order_id, **arguments})
    return RULES[action](on, ADA, wish, CATALOGUE)


def swap(action: str, on: Order, old: list[str], new: list[str], method: str = "card") -> Change:
    return decide(action, on, item_ids=old, new_item_ids=new, payment_method_id=method)


def paid(kind: str, amount: int, method: str) -> Payment:
    return Payment.model_validate({"kind": kind, "amount_cents": amount, "payment_method_id": method})


ARGUMENTS: dict[str, dict[str, Any]] = {
    "cancel_order": {"reason": "no longer needed"},
    "change_items": {"item_ids": ["blue"], "new_item_ids": ["green"], "payment_method_id": "card"},
    "change_address": HOME.model_dump(),
    "change_payment": {"payment_method_id": "paypal"},
    "return_items": {"item_ids": ["blue"], "payment_method_id": "card"},
    "exchange_items": {"item_ids": ["blue"], "new_item_ids": ["green"], "payment_method_id": "card"},
    "refund": {"amount_cents": 100, "payment_method_id": "card", "reason": "late"},
}
STATUSES: dict[str, set[str]] = {
    "cancel_order": {"pending"},
    "change_items": {"pending"},
    "change_address": {"pending", "pending (items modified)"},
    "change_payment": {"pending"},
    "return_items": {"delivered"},
    "exchange_items": {"delivered"},
    "refund": {"delivered", "return requested", "exchange requested"},
}


@pytest.mark.parametrize("status", get_args(OrderStatus))
@pytest.mark.parametrize("action", RULES)
def test_each_action_is_possible_in_its_states_only(action: str, status: OrderStatus) -> None:
    if status in STATUSES[action]:
        assert decide(action, order(status), **ARGUMENTS[action])
    else:
        with pytest.raises(
            ToolRefused, match=r"order #W1 cannot be .*; only a (pending|delivered) order can"
        ):
            decide(action, order(status), **ARGUMENTS[action])


def test_every_write_has_a_wish_and_a_rule() -> None:
    assert list(RULES) == list(WISHES) == list(ARGUMENTS)


def test_a_cancelled_order_pays_back_what_it_holds_the_way_it_came() -> None:
    history = [paid("payment", 3500, "card"), paid("payment", 3500, "gift"), paid("refund", 3500, "card")]
    change = decide("cancel_order", order(payments=history), reason="ordered by mistake")
    assert change.status == "cancelled"
    assert change.payments == (paid("refund", 3500, "gift"),)
    assert change.cancel_reason == "ordered by mistake"
    assert "at once" in change.summary


def test_only_the_lines_that_are_meant_change_and_the_difference_is_charged() -> None:
    change = swap("change_items", order(), ["blue"], ["red"])
    assert change.status == "pending (items modified)"
    assert change.items == (line("red"), line("blue"), line("red"))
    assert change.payments == (paid("payment", 500, "card"),)
    assert change.amount_cents == 500


def test_two_of_a_kind_can_become_different_things() -> None:
    change = swap("change_items", order(), ["blue", "blue"], ["red", "green"])
    assert change.items == (line("red"), line("green"), line("red"))
    assert change.payments == (paid("payment", 300, "card"),)


def test_a_cheaper_option_is_paid_back_to_the_method_that_was_chosen() -> None:
    assert swap("change_items", order(), ["blue"], ["green"], "gift").payments == (
        paid("refund", 200, "gift"),
    )


def test_a_gift_card_must_cover_the_difference() -> None:
    for action, status in (("change_items", "pending"), ("exchange_items", "delivered")):
        on = order(status)  # type: ignore[arg-type]
        with pytest.raises(
            ToolRefused, match=r"gift card gift holds \$30\.00, which does not cover \$80\.00"
        ):
            swap(action, on, ["blue"], ["gold"], "gift")
        assert swap(action, on, ["blue"], ["red"], "gift").payments == (paid("payment", 500, "gift"),)


@pytest.mark.parametrize("action", ["change_items", "exchange_items"])
@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (["blue"], ["black"], "not available"),
        (["blue"], ["lamp"], "is a Lamp, not a Mug"),
        (["blue"], ["blue"], "different option"),
        (["blue"], ["nowhere"], "no such item"),
        (["green"], ["red"], "does not hold it"),
        (["blue"] * 3, ["red"] * 3, r"holds it 2 time\(s\), not 3"),
        (["blue"], ["red", "green"], "one new item for each"),
    ],
)
def test_an_item_becomes_another_available_option_of_the_same_product(
    action: str, old: list[str], new: list[str], why: str
) -> None:
    on = order("pending" if action == "change_items" else "delivered")
    with pytest.raises(ToolRefused, match=why):
        swap(action, on, old, new)


@pytest.mark.parametrize(
    "action", ["change_items", "change_payment", "return_items", "exchange_items", "refund"]
)
def test_a_payment_method_of_somebody_else_is_refused(action: str) -> None:
    on = order("pending" if action.startswith("change") else "delivered")
    with pytest.raises(ToolRefused, match="stolen is not among the customer's payment methods"):
        decide(action, on, **{**ARGUMENTS[action], "payment_method_id": "stolen"})


def test_an_order_is_paid_with_a_different_single_method() -> None:
    change = decide("change_payment", order(), payment_method_id="paypal")
    assert change.status == "pending"
    assert change.payments == (paid("payment", 3500, "paypal"), paid("refund", 3500, "card"))
    with pytest.raises(ToolRefused, match="choose a different method"):
        decide("change_payment", order(), payment_method_id="card")


def test_a_gift_card_must_cover_the_whole_total() -> None:
    with pytest.raises(ToolRefused, match=r"does not cover \$35\.00"):
        decide("change_payment", order(), payment_method_id="gift")
    assert (
        decide("change_payment", order("pending", "red", "red"), payment_method_id="gift").amount_cents
        == 3000
    )


def test_a_return_is_paid_to_the_original_method_or_a_gift_card_once_the_goods_are_back() -> None:
    for method in ("card", "gift"):
        change = decide(
            "return_items", order("delivered"), item_ids=["blue", "red"], payment_method_id=method
        )
        assert change.status == "return requested"
        assert change.request is not None
        assert (change.request.due_cents, change.payments) == (2500, ())
    with pytest.raises(ToolRefused, match="original payment method"):
        decide("return_items", order("delivered"), item_ids=["blue"], payment_method_id="paypal")


def test_an_exchange_charges_now_and_pays_back_later() -> None:
    dearer = swap("exchange_items", order("delivered"), ["blue"], ["red"], "gift")
    assert (dearer.payments, dearer.request and dearer.request.due_cents) == (
        (paid("payment", 500, "gift"),),
        0,
    )
    cheaper = swap("exchange_items", order("delivered"), ["blue"], ["green"], "paypal")
    assert (cheaper.payments, cheaper.request and cheaper.request.due_cents) == ((), 200)
    assert cheaper.status == "exchange requested"
    assert cheaper.items is None


def test_a_refund_never_exceeds_what_the_order_still_holds() -> None:
    request = Request(kind="return", item_ids=["blue"], payment_method_id="card", due_cents=1000)
    on = order("return requested", request=request)
    assert (
        decide("refund", on, amount_cents=2500, payment_method_id="card", reason="late").amount_cents == 2500
    )
    with pytest.raises(ToolRefused, match=r"\$25\.00 left to refund, \$25\.01 is more"):
        decide("refund", on, amount_cents=2501, payment_method_id="card", reason="late")


def test_what_went_back_to_a_gift_card_is_not_there_a_second_time() -> None:
    history = [paid("payment", 3500, "card"), paid("refund", 3000, "gift")]
    on = order("delivered", payments=history)
    for method in ("gift", "card"):
        assert decide("refund", on, amount_cents=500, payment_method_id=method, reason="late")
        with pytest.raises(ToolRefused, match=r"\$5\.00 left to refund, \$5\.01 is more"):
            decide("refund", on, amount_cents=501, payment_method_id=method, reason="late")
    assert decide("cancel_order", order(payments=history), reason="no longer needed").payments == (
        paid("refund", 500, "card"),
    )


def test_goods_that_come_back_do_not_take_what_was_given_as_goodwill_a_second_time() -> None:
    on = order("delivered", payments=[paid("payment", 3500, "card"), paid("refund", 3000, "card")])
    for method in ("card", "gift"):
        with pytest.raises(ToolRefused, match=r"\$5\.00 left to refund, \$10\.00 is more"):
            decide("return_items", on, item_ids=["blue"], payment_method_id=method)
    assert swap("exchange_items", on, ["blue"], ["green"]).amount_cents == 200
    with pytest.raises(ToolRefused, match=r"\$5\.00 left to refund, \$9\.00 is more"):
        swap("exchange_items", on, ["blue", "red"], ["green", "green"])
