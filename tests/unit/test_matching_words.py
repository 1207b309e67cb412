"""Matching: every word is explained by the records, exactly one thing fits, or nothing is decided."""

from __future__ import annotations

import pytest

from orderbook.matching import match_items
from orderbook.methods import match_address, match_method
from orderbook.variants import match_variant
from shop.models import (
    Address,
    Customer,
    Order,
    OrderItem,
    OrderStatus,
    Payment,
    PaymentMethod,
    Product,
    Variant,
)

HOME = Address(address1="1 Elm Road", city="Austin", state="TX", zip="73301", country="USA")
AWAY = Address(address1="9 Bay Street", city="New York", state="NY", zip="10001", country="USA")


def item(item_id: str, name: str, cents: int = 1000, **options: str) -> OrderItem:
    return OrderItem(item_id=item_id, product_id=name, name=name, options=options, price_cents=cents)


def order(
    order_id: str, status: OrderStatus, *items: OrderItem, paid: str = "card", to: Address = HOME
) -> Order:
    total = sum(i.price_cents for i in items)
    payments = [Payment(kind="payment", amount_cents=total, payment_method_id="card")]
    return Order(
        order_id=order_id,
        customer_id="c",
        status=status,
        address=to,
        items=list(items),
        payments=payments,
        total_cents=total,
    )


ORDERS = [
    order(
        "#W1",
        "delivered",
        item("1", "T-Shirt", color="blue"),
        item("2", "Vacuum Cleaner"),
        item("3", "Desk Lamp"),
    ),
    order(
        "#W2", "pending", item("4", "Desk Lamp"), item("5", "Tablet", 900), item("6", "Tablet", 500), to=AWAY
    ),
]


def ids(phrase: str, order_id: str = "", statuses: tuple[str, ...] = ()) -> list[str]:
    return [line.item_id for line in match_items(ORDERS, phrase, order_id, statuses).lines]


@pytest.mark.parametrize("phrase", ["the tshirt", "T-shirt", "my blue t shirt", "the shirt you received"])
def test_a_product_is_found_however_it_is_spelled(phrase: str) -> None:
    assert ids(phrase) == ["1"]


def test_the_last_word_of_a_name_is_enough() -> None:
    assert ids("the cleaner") == ["2"]


def test_a_thing_is_found_by_what_people_call_it() -> None:
    espresso, maker = item("1", "Espresso Machine"), item("2", "Coffee Maker")
    assert [
        x.item_id for x in match_items([order("#W1", "delivered", espresso)], "the coffee machine").lines
    ] == ["1"]
    both = match_items([order("#W1", "delivered", espresso, maker)], "the coffee machine")
    assert (both.lines, len(both.candidates)) == ([], 2)
    assert match_items([order("#W1", "delivered", espresso)], "the washing machine").lines == []


def test_a_word_that_nothing_explains_decides_nothing() -> None:
    assert ids("the t-shirt unless it shrank") == []
    assert ids("the red t-shirt") == []


LONG = [
    order("#W5", "delivered", item("1111111111", "Desk Lamp", color="white"), item("2222222222", "Mug")),
    order("#W6", "delivered", item("3333333333", "Desk Lamp", color="black"), item("2222222222", "Mug")),
]


@pytest.mark.parametrize(
    "phrase", ["item 1111111111", "the item with id 1111111111", "the white lamp, item number 1111111111"]
)
def test_an_items_number_names_it(phrase: str) -> None:
    assert [line.item_id for line in match_items(LONG, phrase).lines] == ["1111111111"]


@pytest.mark.parametrize(
    "phrase",
    [
        "item 4444444444",
        "item 2222222222",  # of two orders
        "the mug 1111111111",
        "the black lamp 1111111111",
        "not item 1111111111",
        "every item except 1111111111",
        "items 1111111111 and 3333333333",
    ],
)
def test_a_number_that_does_not_name_one_line_decides_nothing(phrase: str) -> None:
    assert match_items(LONG, phrase).lines == []


@pytest.mark.parametrize(
    "phrase",
    [
        "everything you ordered with the t-shirt",
        "all items you received with the t-shirt",
        "every item beside the t-shirt",
    ],
)
def test_everything_is_not_the_one_thing_beside_it(phrase: str) -> None:
    assert ids(phrase) == []


def test_that_order_is_no_order_while_nobody_says_which() -> None:
    assert ids("the vacuum cleaner from the same order") == []
    assert ids("the vacuum cleaner in that order") == []
    assert ids("the vacuum cleaner in that order", "#W1") == ["2"]


def test_two_that_fit_are_not_chosen_between() -> None:
    assert ids("the desk lamp") == []
    assert "fits 2 items" in match_items(ORDERS, "the desk lamp").why


def test_an_order_a_state_or_a_number_decides() -> None:
    assert ids("the desk lamp", "#W2") == ["4"]
    assert ids("the pending desk lamp") == ["4"]
    assert ids("both desk lamps") == ["3", "4"]
    assert ids("three desk lamps") == []


def test_the_price_decides_between_two() -> None:
    assert ids("the more expensive tablet") == ["5"]
    assert ids("the cheaper tablet") == ["6"]


def test_a_state_that_the_action_needs_is_kept() -> None:
    assert ids("the t-shirt", statuses=("pending",)) == []


def test_somebody_elses_order_is_not_found() -> None:
    assert "not among" in match_items(ORDERS, "the lamp", "#W9").why


def test_an_order_is_found_by_where_it_goes() -> None:
    assert ids("my NYC order") == ["4", "5", "6"]


LAMP = Product(
    product_id="p",
    name="Desk Lamp",
    variants=[
        Variant(item_id=str(n), options={"color": c, "size": s, "power": p}, available=a, price_cents=cents)
        for n, (c, s, p, a, cents) in enumerate(
            [
                ("white", "S", "USB", True, 500),
                ("black", "S", "USB", True, 600),
                ("black", "L", "USB", False, 700),
                ("white", "L", "USB", True, 800),
                ("white", "M", "battery", True, 300),
                ("blue", "M", "USB", True, 900),
            ]
        )
    ],
)


def wished(wish: str, has: str = "0") -> tuple[str, str]:
    match = match_variant(LAMP, has, wish)
    return match.outcome, match.item_id


def test_options_that_are_not_spoken_of_stay() -> None:
    assert wished("a black one") == ("found", "1")


def test_a_size_may_be_a_word() -> None:
    assert wished("a large one") == ("found", "3")


def test_what_is_not_in_stock_is_unavailable() -> None:
    assert wished("black and large") == ("unavailable", "")


def test_the_cheapest_leaves_the_other_options_free() -> None:
    assert wished("the cheapest one") == ("found", "4")
    assert wished("the cheapest black version", has="3") == ("found", "1")


def test_a_comparison_goes_along_the_scale() -> None:
    assert wished("one size smaller", has="5") == ("unavailable", "")
    assert wished("a larger size") == ("found", "3")


def test_a_thermostat_is_wanted_for_the_speaker_it_obeys() -> None:
    values = ["Google Assistant", "Amazon Alexa", "Apple HomeKit"]
    listed = [
        Variant(item_id=str(n), options={"compatibility": v}, available=True, price_cents=1)
        for n, v in enumerate(values)
    ]
    thermostat = Product(product_id="t", name="Smart Thermostat", variants=listed)
    assert match_variant(thermostat, "2", "one compatible with Google Home").item_id == "0"
    assert match_variant(thermostat, "2", "one for my home").outcome == "unclear"


def test_a_material_is_not_what_is_shorter() -> None:
    options = [{"length": f"{n} inch", "deck material": m} for n in (28, 31) for m in ("bamboo", "maple")]
    boards = [
        Variant(item_id=str(n), options=o, available=True, price_cents=100) for n, o in enumerate(options)
    ]
    board = Product(product_id="s", name="Skateboard", variants=boards)
    assert match_variant(board, "3", "a shorter bamboo material one").item_id == "0"
    assert match_variant(board, "3", "a shorter material").outcome == "unclear"


def test_an_option_that_does_not_matter_is_free_and_a_liking_decides() -> None:
    assert wished("size medium, any color")[0] == "found"
    assert wished("usb, any color, any size")[0] == "unclear"
    assert wished("usb, any color, any size, prefer blue") == ("found", "5")


def test_options_given_as_a_list_are_exact() -> None:
    assert wished("{'color': 'black', 'size': 'S'}") == ("found", "1")


def test_an_item_number_is_taken_as_it_is() -> None:
    long = LAMP.model_copy(
        update={
            "variants": [
                *LAMP.variants,
                Variant(
                    item_id="1234567890",
                    options={"color": "red", "size": "S", "power": "USB"},
                    available=True,
                    price_cents=1,
                ),
            ]
        }
    )
    assert match_variant(long, "0", "item number 1234567890").item_id == "1234567890"


@pytest.mark.parametrize(
    "wish", ["a better one", "black unless sold out", "something nice", "a darker color", "the color"]
)
def test_a_wish_that_does_not_say_which_is_unclear(wish: str) -> None:
    assert wished(wish)[0] == "unclear"


CUSTOMER = Customer(
    customer_id="c", first_name="Ada", last_name="Byron", email="a@example.com", address=HOME,
    orders=["#W1", "#W2"],
    payment_methods=[
        PaymentMethod(id="card", kind="credit_card", brand="visa", last_four="1111"),
        PaymentMethod(id="other", kind="credit_card", brand="mastercard", last_four="2222"),
        PaymentMethod(id="gift", kind="gift_card", balance_cents=100),
    ],
)  # fmt: skip


def test_silence_means_the_original_method() -> None:
    assert match_method(CUSTOMER, ORDERS[0], "").payment_method_id == "card"


def test_a_named_method_must_be_the_only_one() -> None:
    assert match_method(CUSTOMER, ORDERS[0], "your gift card").payment_method_id == "gift"
    assert match_method(CUSTOMER, ORDERS[0], "the visa card").payment_method_id == "card"
    assert match_method(CUSTOMER, ORDERS[0], "credit card").payment_method_id == ""
    assert match_method(CUSTOMER, ORDERS[0], "paypal").payment_method_id == ""


def test_a_refund_goes_to_the_original_method_or_a_gift_card() -> None:
    assert match_method(CUSTOMER, ORDERS[0], "credit card", refund_only=True).payment_method_id == "card"
    assert match_method(CUSTOMER, ORDERS[0], "the mastercard", refund_only=True).payment_method_id == ""


def test_a_gift_card_must_hold_what_is_to_pay() -> None:
    assert match_method(CUSTOMER, ORDERS[0], "gift card", need_cents=101).payment_method_id == ""


def test_a_place_names_one_of_the_customers_own_addresses() -> None:
    assert match_address(CUSTOMER, ORDERS, "NYC").address == AWAY
    assert match_address(CUSTOMER, ORDERS, "Paris").address is None


def test_a_denial_is_never_the_description_of_an_item() -> None:
    dry = order("#W3", "delivered", item("7", "Wireless Earbuds", water="not resistant"))
    assert match_items([dry], "not the earbuds").lines == []
    assert [line.item_id for line in match_items([dry], "the earbuds {'water': 'not resistant'}").lines] == [
        "7"
    ]


def test_everything_of_several_orders_needs_the_word_orders() -> None:
    assert ids("everything") == []
    assert ids("all items in all orders") == ["1", "2", "3", "4", "5", "6"]
    assert ids("everything", "#W1") == ["1", "2", "3"]


def test_a_method_that_is_described_otherwise_is_not_the_original() -> None:
    assert match_method(CUSTOMER, ORDERS[0], "your original card").payment_method_id == "card"
    assert match_method(CUSTOMER, ORDERS[0], "anything but the original method").payment_method_id == ""
