"""An effect happens once, whole, and is in the journal; or it did not happen."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshwright.deadline import Deadline
from meshwright.errors import DeadlineExceeded, ToolRefused
from orderbook.ledger import foresee, fulfil
from orderbook.wishes import WISHES
from shop import records
from shop.database import Shop
from shop.effects import apply, journal
from shop.models import Order, Receipt
from shop.testing import BLACK, BLUE, CARD, GIFT, GREEN, PAYPAL, RED, SMALL, address, call, small_shop

CANCEL = {"order_id": "#W1", "reason": "no longer needed"}


async def do(
    shop: Shop, action: str, arguments: dict[str, Any], key: str = "key-1", **surroundings: Any
) -> Receipt:
    wish = WISHES[action].model_validate(arguments)
    sent = wish.model_dump()
    return await apply(
        shop, action, sent, call(key, action, sent, **surroundings), lambda db: fulfil(db, action, wish)
    )


async def order_of(shop: Shop, order_id: str) -> Order:
    found = await shop.read(lambda db: records.order(db, order_id))
    assert found is not None
    return found


async def balance(shop: Shop, customer_id: str, method: str) -> int:
    who = await shop.read(lambda db: records.customer(db, customer_id))
    assert who is not None
    return next(m.balance_cents for m in who.payment_methods if m.id == method)


async def test_an_effect_is_journaled_with_who_asked_and_what_for(tmp_path: Path) -> None:
    with closing(small_shop(tmp_path)) as shop:
        receipt = await do(shop, "cancel_order", CANCEL)
        [effect] = await shop.read(journal)
    assert (effect.tool, effect.arguments, effect.key) == ("cancel_order", CANCEL, "key-1")
    assert (effect.caller, effect.ticket, effect.result) == ("orchestrator", "ticket-1", receipt)


async def test_the_same_key_and_arguments_give_the_first_receipt_again(tmp_path: Path) -> None:
    with closing(small_shop(tmp_path)) as shop:
        first = await do(shop, "cancel_order", CANCEL)
        again = await do(shop, "cancel_order", CANCEL)
        assert again == first.model_copy(update={"replayed": True})
        assert len((await order_of(shop, "#W1")).payments) == 2
        assert len(await shop.read(journal)) == 1


async def test_a_key_stands_for_one_wish_only(tmp_path: Path) -> None:
    with closing(small_shop(tmp_path)) as shop:
        await do(shop, "cancel_order", CANCEL)
        with pytest.raises(ToolRefused, match="key already stands for another write"):
            await do(shop, "cancel_order", {**CANCEL, "order_id": "#W6"})
        assert (await order_of(shop, "#W6")).status == "pending"


async def test_a_refused_effect_leaves_nothing_behind_but_its_refusal(tmp_path: Path) -> None:
    late = {**CANCEL, "order_id": "#W3"}
    with closing(small_shop(tmp_path)) as shop:
        before = await order_of(shop, "#W3")
        with pytest.raises(ToolRefused, match="it is processed"):
            await do(shop, "cancel_order", late)
        assert await order_of(shop, "#W3") == before
        assert await shop.read(journal) == []
        await shop.write(lambda db: db.execute("UPDATE orders SET status = 'pending' WHERE order_id = '#W3'"))
        with pytest.raises(ToolRefused, match="it is processed"):
            await do(shop, "cancel_order", late)
        assert not (await do(shop, "cancel_order", late, key="key-2")).replayed


async def test_a_shop_from_before_there_were_grants_keeps_its_keys(tmp_path: Path) -> None:
    with closing(small_shop(tmp_path)) as shop:
        first = await do(shop, "cancel_order", CANCEL)
        await shop.write(lambda db: db.execute("DROP TABLE grants_used"))
    with closing(Shop(tmp_path / "shop.db")) as shop, closing(Shop(tmp_path / "shop.db")):
        assert (await do(shop, "cancel_order", CANCEL)) == first.model_copy(update={"replayed": True})
        [effect] = await shop.read(journal)
        assert effect.grant == "before-1"
        with pytest.raises(ToolRefused, match="key already stands for another write"):
            await do(shop, "return_items", {"order_id": "#W2", "item_ids": [BLUE], "payment_method_id": CARD})


async def test_nothing_begins_after_the_deadline_but_a_replay_still_answers(tmp_path: Path) -> None:
    with closing(small_shop(tmp_path)) as shop:
        with pytest.raises(DeadlineExceeded):
            await do(shop, "cancel_order", CANCEL, by=Deadline.after(-1))
        assert (await order_of(shop, "#W1")).status == "pending"
        await do(shop, "cancel_order", CANCEL)
        assert (await do(shop, "cancel_order", CANCEL, by=Deadline.after(-1))).replayed


async def test_many_at_once_over_two_open_files_have_one_effect(tmp_path: Path) -> None:
    with closing(small_shop(tmp_path)) as one, closing(Shop(tmp_path / "shop.db")) as other:
        receipts = await asyncio.gather(*(do(shop, "cancel_order", CANCEL) for shop in (one, other) * 8))
        assert sum(not receipt.replayed for receipt in receipts) == 1
        assert len(await one.read(journal)) == 1


async def test_of_two_wishes_for_one_order_the_second_meets_the_new_state(tmp_path: Path) -> None:
    with closing(small_shop(tmp_path)) as shop:
        answers = await asyncio.gather(
            *(do(shop, "cancel_order", CANCEL, key=f"key-{n}") for n in range(5)), return_exceptions=True
        )
        assert sum(isinstance(answer, Receipt) for answer in answers) == 1
        assert sum(isinstance(answer, ToolRefused) for answer in answers) == 4


async def test_a_gift_card_is_debited_and_credited(tmp_path: Path) -> None:
    with closing(small_shop(tmp_path)) as shop:
        swap = {"order_id": "#W1", "item_ids": [BLUE], "new_item_ids": [RED], "payment_method_id": GIFT}
        await do(shop, "change_items", swap)
        assert await balance(shop, "ada", GIFT) == 2500
        await do(shop, "cancel_order", {**CANCEL, "order_id": "#W6"}, key="key-2")
        assert await balance(shop, "ben", "gift_card_2") == 1350


async def test_changed_items_are_what_the_order_holds_afterwards(tmp_path: Path) -> None:
    with closing(small_shop(tmp_path)) as shop:
        swap = {"order_id": "#W1", "item_ids": [BLUE], "new_item_ids": [GREEN], "payment_method_id": CARD}
        await do(shop, "change_items", swap)
        order = await order_of(shop, "#W1")
        assert [item.item_id for item in order.items] == [GREEN, BLUE, SMALL]
        assert order.total_cents == sum(
            p.amount_cents * (1 if p.kind == "payment" else -1) for p in order.payments
        )
        await do(shop, "change_address", {"order_id": "#W1", **address("9 Elm Way")}, key="key-2")
        assert (await order_of(shop, "#W1")).address.address1 == "9 Elm Way"


async def test_a_preview_tells_what_the_write_would_do_and_changes_nothing(tmp_path: Path) -> None:
    with closing(small_shop(tmp_path)) as shop:
        ahead = await shop.read(lambda db: foresee(db, "cancel_order", dict(CANCEL)))
        assert await shop.read(journal) == []
        receipt = await do(shop, "cancel_order", CANCEL)
        after = await shop.read(lambda db: foresee(db, "cancel_order", dict(CANCEL)))
    assert (ahead.allowed, ahead.amount_cents, ahead.state) == (True, receipt.amount_cents, receipt.state)
    assert (after.allowed, after.amount_cents) == (False, 0)
    assert "it is cancelled" in after.why


@pytest.mark.parametrize(
    ("action", "arguments", "why"),
    [
        ("reply", {}, "no write 'reply'"),
        ("cancel_order", {"order_id": "#W1"}, "cancel_order: reason: Field required"),
        ("cancel_order", {**CANCEL, "reason": "too slow"}, "cancel_order: reason: "),
        ("cancel_order", {**CANCEL, "why": "x"}, "cancel_order: why: Extra"),
        ("cancel_order", {**CANCEL, "order_id": "#W9"}, "there is no order #W9"),
    ],
)
async def test_a_preview_of_a_wrong_wish_says_what_is_wrong(
    tmp_path: Path, action: str, arguments: dict[str, Any], why: str
) -> None:
    with closing(small_shop(tmp_path)) as shop:
        answer = await shop.read(lambda db: foresee(db, action, arguments))
    assert not answer.allowed
    assert why in answer.why


ORDERS = st.sampled_from(["#W1", "#W2", "#W3", "#W4", "#W5", "#W6"])
METHODS = st.sampled_from([CARD, PAYPAL, GIFT, "gift_card_2"])
ITEMS = st.lists(st.sampled_from([BLUE, RED, GREEN, BLACK, SMALL]), min_size=1, max_size=2)
MOVES = {"order_id": ORDERS, "item_ids": ITEMS, "payment_method_id": METHODS}
WRITES = st.one_of(
    st.tuples(
        st.just("cancel_order"),
        st.fixed_dictionaries({"order_id": ORDERS, "reason": st.just("no longer needed")}),
    ),
    st.tuples(
        st.just("change_payment"), st.fixed_dictionaries({"order_id": ORDERS, "payment_method_id": METHODS})
    ),
    st.tuples(st.just("return_items"), st.fixed_dictionaries(MOVES)),
    st.tuples(
        st.sampled_from(["change_items", "exchange_items"]),
        st.fixed_dictionaries({**MOVES, "new_item_ids": ITEMS}),
    ),
    st.tuples(
        st.just("refund"),
        st.fixed_dictionaries(
            {
                "order_id": ORDERS,
                "amount_cents": st.integers(1, 7000),
                "payment_method_id": METHODS,
                "reason": st.just("late"),
            }
        ),
    ),
)


@given(st.lists(WRITES, min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_whatever_is_written_a_replay_changes_nothing_and_no_money_appears(
    writes: list[tuple[str, dict[str, Any]]],
) -> None:
    async def scenario(shop: Shop) -> None:
        held = await _books(shop)
        for number, (action, arguments) in enumerate(writes):
            ahead = await shop.read(lambda db, a=action, w=arguments: foresee(db, a, w))  # type: ignore[misc]
            if not ahead.allowed:
                with pytest.raises(ToolRefused) as refused:
                    await do(shop, action, arguments, key=f"key-{number}")
                assert str(refused.value) == ahead.why
                continue
            receipt = await do(shop, action, arguments, key=f"key-{number}")
            assert (ahead.amount_cents, ahead.state) == (receipt.amount_cents, receipt.state)
            before = await shop.read(lambda db: list(db.iterdump()))
            assert (await do(shop, action, arguments, key=f"key-{number}")).replayed
            assert await shop.read(lambda db: list(db.iterdump())) == before
        assert await _books(shop) == held

    with tempfile.TemporaryDirectory() as home, closing(small_shop(Path(home))) as shop:
        asyncio.run(scenario(shop))


async def _books(shop: Shop) -> int:
    """What gift cards hold, plus what was paid with them for orders: it only ever moves between the two."""
    query = """
        SELECT (SELECT sum(balance_cents) FROM payment_methods)
             + (SELECT sum(CASE kind WHEN 'payment' THEN amount_cents ELSE -amount_cents END) FROM payments
                WHERE payment_method_id LIKE 'gift%')"""
    return await shop.read(lambda db: int(db.execute(query).fetchone()[0]))
