"""A shop from files: retail JSON (`products`, `users`, `orders`) and a handbook in Markdown.

Dollars become cents here. What does not fit is refused with the file and the record's name; nothing is
guessed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from shop.chapters import articles
from shop.database import ShopError
from shop.models import (
    Address,
    Customer,
    MethodKind,
    Order,
    OrderItem,
    OrderStatus,
    Payment,
    PaymentMethod,
    Product,
    Variant,
)
from shop.money import cents
from shop.stock import Contents, stock

SHOP_FILE, HANDBOOK_FILE = "shop.json", "handbook.md"

Dollars = Annotated[int, BeforeValidator(cents)]
Id = Annotated[str, Field(min_length=1)]
_STATUSES = {"pending (item modified)": "pending (items modified)"}
Status = Annotated[OrderStatus, BeforeValidator(lambda value: _STATUSES.get(value, value))]


class Foreign(BaseModel):
    """A record as the file has it; fields that we have no use for are passed over."""

    model_config = ConfigDict(extra="ignore")


class ForeignVariant(Foreign):
    item_id: Id
    options: dict[str, str]
    available: bool
    price: Annotated[Dollars, Field(ge=0)]


class ForeignProduct(Foreign):
    product_id: Id
    name: Id
    variants: dict[str, ForeignVariant]


class ForeignName(Foreign):
    first_name: str
    last_name: str


class ForeignMethod(Foreign):
    id: Id
    source: MethodKind
    brand: str = ""
    last_four: str = ""
    balance: Annotated[Dollars, Field(ge=0)] = 0


class ForeignUser(Foreign):
    user_id: Id
    name: ForeignName
    address: Address
    email: str
    payment_methods: dict[str, ForeignMethod]
    orders: list[str]


class ForeignItem(Foreign):
    item_id: Id
    product_id: Id
    name: str
    options: dict[str, str]
    price: Annotated[Dollars, Field(ge=0)]


class ForeignPayment(Foreign):
    transaction_type: Annotated[str, Field(pattern="^(payment|refund)$")]
    amount: Annotated[Dollars, Field(ge=0)]
    payment_method_id: Id


class ForeignFulfillment(Foreign):
    tracking_id: list[str] = []


class ForeignOrder(Foreign):
    order_id: Id
    user_id: Id
    address: Address
    items: list[ForeignItem]
    status: Status
    fulfillments: list[ForeignFulfillment] = []
    payment_history: list[ForeignPayment] = []
    cancel_reason: str | None = None


Model = TypeVar("Model", bound=Foreign)


def import_shop(source: Path, target: Path, *, replace: bool = False) -> Contents:
    """Make a shop at `target` of the folder `source` (shop.json and handbook.md); what was read is returned.

    Raises ShopError, naming file and record, when the files are not right, or when `target` exists and
    `replace` is not said.
    """
    contents = read_folder(source)
    stock(target, contents, replace=replace)
    return contents


def read_folder(source: Path) -> Contents:
    """What the folder's files hold. Raises ShopError, naming file and record."""
    document = _document(_text(source / SHOP_FILE))
    chapters = articles(_text(source / HANDBOOK_FILE))
    if not chapters:
        raise ShopError(f"{HANDBOOK_FILE}: no heading with a text below it")
    products = [_product(p) for p in _records(document, "products", ForeignProduct, "product_id")]
    users = _records(document, "users", ForeignUser, "user_id")
    orders = {o.order_id: _order(o) for o in _records(document, "orders", ForeignOrder, "order_id")}
    _check_items(products)
    return Contents(
        customers=[_customer(user) for user in users],
        products=products,
        orders=_placed(users, orders),
        articles=chapters,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ShopError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ShopError(f"{path}: not UTF-8 (byte {error.start})") from error


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except ValueError as error:
        raise ShopError(f"{SHOP_FILE}: {error}") from error
    except RecursionError as error:
        raise ShopError(f"{SHOP_FILE}: nested too deeply") from error
    if not isinstance(document, dict):
        raise ShopError(f"{SHOP_FILE}: must be an object with products, users and orders")
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose names are all different: of two under one name, one would be lost silently."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)!r} stands twice in one object")
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _records(document: dict[str, Any], kind: str, model: type[Model], key: str) -> list[Model]:
    """The records of one kind, each checked, each under its own id."""
    table = document.get(kind)
    if not isinstance(table, dict):
        raise ShopError(f"{SHOP_FILE}: {kind} must be an object, with a record under each id")
    found = []
    for name, raw in table.items():
        try:
            record = model.model_validate(raw)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ShopError(f"{SHOP_FILE}: {kind} {name!r}: {where or 'record'}: {first['msg']}") from error
        if getattr(record, key) != name:
            raise ShopError(f"{SHOP_FILE}: {kind} {name!r}: its {key} is {getattr(record, key)!r}")
        found.append(record)
    return found


def _placed(users: Iterable[ForeignUser], orders: dict[str, Order]) -> list[Order]:
    """All orders, each customer's in the order of their list; list and order must name each other."""
    placed: dict[str, Order] = {}
    for user in users:
        for order_id in user.orders:
            order = orders.get(order_id)
            if order is None or order.customer_id != user.user_id:
                raise ShopError(f"{SHOP_FILE}: users {user.user_id!r}: order {order_id!r} is not theirs")
            if order_id in placed:
                raise ShopError(f"{SHOP_FILE}: users {user.user_id!r}: order {order_id!r} is listed twice")
            placed[order_id] = order
    for order_id, order in orders.items():
        if order_id not in placed:
            raise ShopError(f"{SHOP_FILE}: orders {order_id!r}: user {order.customer_id!r} does not list it")
    return list(placed.values())


def _check_items(products: Iterable[Product]) -> None:
    owner: dict[str, str] = {}
    for product in products:
        for variant in product.variants:
            if variant.item_id in owner:
                raise ShopError(
                    f"{SHOP_FILE}: products {product.product_id!r}: item {variant.item_id!r} belongs to"
                    f" {owner[variant.item_id]!r} as well"
                )
            owner[variant.item_id] = product.product_id


def _product(raw: ForeignProduct) -> Product:
    variants = [
        Variant(item_id=v.item_id, options=v.options, available=v.available, price_cents=v.price)
        for v in raw.variants.values()
    ]
    return Product(product_id=raw.product_id, name=raw.name, variants=variants)


def _customer(raw: ForeignUser) -> Customer:
    methods = [
        PaymentMethod(id=m.id, kind=m.source, brand=m.brand, last_four=m.last_four, balance_cents=m.balance)
        for m in raw.payment_methods.values()
    ]
    return Customer(
        customer_id=raw.user_id,
        first_name=raw.name.first_name,
        last_name=raw.name.last_name,
        email=raw.email,
        address=raw.address,
        payment_methods=methods,
        orders=raw.orders,
    )


def _order(raw: ForeignOrder) -> Order:
    items = [
        OrderItem(
            item_id=i.item_id, product_id=i.product_id, name=i.name, options=i.options, price_cents=i.price
        )
        for i in raw.items
    ]
    payments = [
        Payment(
            kind="payment" if p.transaction_type == "payment" else "refund",
            amount_cents=p.amount,
            payment_method_id=p.payment_method_id,
        )
        for p in raw.payment_history
    ]
    return Order(
        order_id=raw.order_id,
        customer_id=raw.user_id,
        status=raw.status,
        address=raw.address,
        items=items,
        tracking=[number for f in raw.fulfillments for number in f.tracking_id],
        payments=payments,
        total_cents=sum(i.price_cents for i in items),
        cancel_reason=raw.cancel_reason or "",
    )
