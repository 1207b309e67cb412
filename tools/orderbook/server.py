"""The order book: orders, products and payments as tools. Agents read, the apply step writes."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from meshwright.settings import Settings
from meshwright.toolserver import Call, ToolRefused, ToolServer
from orderbook import wishes
from orderbook.ledger import foresee, fulfil, order_or_refuse
from orderbook.matchmaking import offer_matching
from orderbook.naming import offer_names
from orderbook.search import products_like
from orderbook.terms import offer_terms
from orderbook.wishes import AddressLine, ItemIds, MethodId, NewItemIds, OrderId, SecondLine, Wish
from shop import records
from shop.database import Shop
from shop.effects import apply
from shop.models import CancelReason, Order, Orders, Preview, Product, Products, Receipt

CustomerId = Annotated[str, Field(description="the customer's id", min_length=1, max_length=80)]


def build(settings: Settings) -> ToolServer:
    """The order book over the shop at `settings.shop_path`. Raises ShopError when there is none."""
    shop = Shop(settings.shop_path)
    server = ToolServer("orderbook", version="0.1.0")
    _offer_reads(server, shop)
    _offer_writes(server, shop)
    return server


def _offer_reads(server: ToolServer, shop: Shop) -> None:
    @server.read
    async def get_order(order_id: OrderId) -> Order:
        """One order: status, items with options and prices, address, tracking and payments (cents)."""
        return await shop.read(lambda db: order_or_refuse(db, order_id))

    @server.read
    async def list_orders(customer_id: CustomerId) -> Orders:
        """All orders of one customer, in the order in which they were placed."""
        return Orders(orders=await shop.read(lambda db: records.orders_of(db, customer_id)))

    @server.read
    async def get_product(
        product_id: Annotated[str, Field(description="a product's id", max_length=40)] = "",
        item_id: Annotated[str, Field(description="or the id of any of its variants", max_length=40)] = "",
    ) -> Product:
        """One product with all its variants: options, price in cents, and whether each is available."""
        if bool(product_id) == bool(item_id):
            raise ToolRefused("give either a product_id or an item_id")
        if product_id:
            found = await shop.read(lambda db: records.product(db, product_id))
        else:
            found = await shop.read(lambda db: records.product_of_item(db, item_id))
        if found is None:
            raise ToolRefused(f"there is no product with the id {product_id or item_id}: try find_products")
        return found

    @server.read
    async def find_products(
        words: Annotated[
            str, Field(description="the product's name or part of it", min_length=1, max_length=200)
        ],
    ) -> Products:
        """Products whose name fits the words, best first, at most five; empty when none does."""
        return Products(products=await shop.read(lambda db: products_like(db, words)))

    @server.read
    async def preview(
        action: Annotated[str, Field(description="name of a write tool", max_length=60)],
        arguments: Annotated[dict[str, Any], Field(description="what it would be called with")],
    ) -> Preview:
        """What a write would do now: if the rules allow it, why not, what money it moves. Changes nothing."""
        return await shop.read(lambda db: foresee(db, action, arguments))

    offer_matching(server, shop)
    offer_terms(server, shop)
    offer_names(server, shop)


def _offer_writes(server: ToolServer, shop: Shop) -> None:
    async def fulfilled(action: str, wish: Wish, call: Call) -> Receipt:
        return await apply(shop, action, wish.model_dump(), call, lambda db: fulfil(db, action, wish))

    @server.write
    async def cancel_order(order_id: OrderId, reason: CancelReason, call: Call) -> Receipt:
        """Cancel a pending order; what was paid goes back the way it came."""
        return await fulfilled("cancel_order", wishes.CancelOrder(order_id=order_id, reason=reason), call)

    @server.write
    async def change_items(
        order_id: OrderId,
        item_ids: ItemIds,
        new_item_ids: NewItemIds,
        payment_method_id: MethodId,
        call: Call,
    ) -> Receipt:
        """Change items of a pending order to other variants of the same products. Possible once per order."""
        wish = wishes.ChangeItems(
            order_id=order_id,
            item_ids=item_ids,
            new_item_ids=new_item_ids,
            payment_method_id=payment_method_id,
        )
        return await fulfilled("change_items", wish, call)

    @server.write
    async def change_address(
        order_id: OrderId,
        address1: AddressLine,
        city: AddressLine,
        state: AddressLine,
        zip: AddressLine,
        country: AddressLine,
        call: Call,
        address2: SecondLine = "",
    ) -> Receipt:
        """Send a pending order to another address."""
        wish = wishes.ChangeAddress(
            order_id=order_id,
            address1=address1,
            address2=address2,
            city=city,
            state=state,
            zip=zip,
            country=country,
        )
        return await fulfilled("change_address", wish, call)

    @server.write
    async def change_payment(order_id: OrderId, payment_method_id: MethodId, call: Call) -> Receipt:
        """Pay a pending order with a different method of the customer's; the first payment goes back."""
        wish = wishes.ChangePayment(order_id=order_id, payment_method_id=payment_method_id)
        return await fulfilled("change_payment", wish, call)

    @server.write
    async def return_items(
        order_id: OrderId, item_ids: ItemIds, payment_method_id: MethodId, call: Call
    ) -> Receipt:
        """Request the return of items of a delivered order; the original method or a gift card is paid."""
        wish = wishes.ReturnItems(order_id=order_id, item_ids=item_ids, payment_method_id=payment_method_id)
        return await fulfilled("return_items", wish, call)

    @server.write
    async def exchange_items(
        order_id: OrderId,
        item_ids: ItemIds,
        new_item_ids: NewItemIds,
        payment_method_id: MethodId,
        call: Call,
    ) -> Receipt:
        """Request the exchange of items of a delivered order for other variants of the same products."""
        wish = wishes.ExchangeItems(
            order_id=order_id,
            item_ids=item_ids,
            new_item_ids=new_item_ids,
            payment_method_id=payment_method_id,
        )
        return await fulfilled("exchange_items", wish, call)

    @server.write
    async def refund(
        order_id: OrderId,
        amount_cents: Annotated[int, Field(gt=0, description="how much to give back, in cents")],
        payment_method_id: MethodId,
        reason: Annotated[str, Field(min_length=1, max_length=400)],
        call: Call,
    ) -> Receipt:
        """Give money back on a delivered order without goods coming back, as goodwill."""
        wish = wishes.Refund(
            order_id=order_id,
            amount_cents=amount_cents,
            payment_method_id=payment_method_id,
            reason=reason,
        )
        return await fulfilled("refund", wish, call)
