"""The customers: who somebody is, their profile, and their default address."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from customers.identity import identify
from customers.profile import move
from meshwright.settings import Settings
from meshwright.toolserver import Call, ToolRefused, ToolServer
from shop import records
from shop.database import Shop
from shop.effects import apply
from shop.models import Address, Customer, Identity, Receipt

CustomerId = Annotated[str, Field(description="the customer's id", min_length=1, max_length=80)]
AddressLine = Annotated[str, Field(min_length=1, max_length=120)]
SecondLine = Annotated[str, Field(max_length=120, description="suite, flat or floor; may be empty")]
Detail = Annotated[str, Field(max_length=200)]


def build(settings: Settings) -> ToolServer:
    """The customers of the shop at `settings.shop_path`. Raises ShopError when there is none."""
    shop = Shop(settings.shop_path)
    server = ToolServer("customers", version="0.1.0")

    @server.read
    async def find_customer(
        email: Detail = "",
        name: Detail = "",
        zip: Detail = "",
        customer_id: Detail = "",
        email2: Annotated[str, Field(max_length=200, description="another e-mail they gave")] = "",
        email3: Annotated[str, Field(max_length=200, description="a third e-mail they gave")] = "",
    ) -> Identity:
        """Check who is writing: by e-mail, or full name and zip code, or customer id with one of them."""
        return await shop.read(
            lambda db: identify(
                db, email=email, name=name, zip=zip, customer_id=customer_id, email2=email2, email3=email3
            )
        )

    @server.read
    async def get_profile(customer_id: CustomerId) -> Customer:
        """A customer's profile: name, e-mail, default address, payment methods (in cents), order ids."""
        found = await shop.read(lambda db: records.customer(db, customer_id))
        if found is None:
            raise ToolRefused(f"there is no customer {customer_id}: find_customer gives the id")
        return found

    @server.write
    async def change_profile_address(
        customer_id: CustomerId,
        address1: AddressLine,
        city: AddressLine,
        state: AddressLine,
        zip: AddressLine,
        country: AddressLine,
        call: Call,
        address2: SecondLine = "",
    ) -> Receipt:
        """Change a customer's default address. Orders that were placed already keep theirs."""
        address = Address(
            address1=address1, address2=address2, city=city, state=state, zip=zip, country=country
        )
        arguments = {"customer_id": customer_id, **address.model_dump()}
        return await apply(
            shop, "change_profile_address", arguments, call, lambda db: move(db, customer_id, address)
        )

    return server
