"""The handbook: the shop's policies, to be searched and quoted. It only reads."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from handbook.search import article as article_named
from handbook.search import search
from meshwright.settings import Settings
from meshwright.toolserver import ToolRefused, ToolServer
from shop.database import Shop
from shop.models import Article, Passages


def build(settings: Settings) -> ToolServer:
    """The handbook of the shop at `settings.shop_path`. Raises ShopError when there is none."""
    shop = Shop(settings.shop_path)
    server = ToolServer("handbook", version="0.1.0")

    @server.read
    async def search_handbook(
        query: Annotated[str, Field(description="a question or keywords", min_length=1, max_length=2_000)],
        limit: Annotated[int, Field(ge=1, le=10, description="how many articles at most")] = 3,
    ) -> Passages:
        """Policy articles that fit a question, best first, to be quoted; empty when none does."""
        return Passages(passages=await shop.read(lambda db: search(db, query, limit)))

    @server.read
    async def get_article(
        article: Annotated[str, Field(description="an article's name, as a search gives it", max_length=120)],
    ) -> Article:
        """One handbook article, whole."""
        found = await shop.read(lambda db: article_named(db, article))
        if found is None:
            raise ToolRefused(f"the handbook has no article '{article}': search_handbook gives the names")
        return found

    return server
