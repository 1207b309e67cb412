"""The demonstration's tickets: made from what the shop holds, and read as they are meant."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import pytest

from meshwright.cli.app import run
from shop import records
from shop.database import ShopError, connect
from shop.demo import make, tickets
from triage.agent import split


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("shop") / "shop.db"
    make(path)
    return path


@pytest.mark.parametrize("seed", [1, 7, 23])
def test_there_are_twelve_tickets_about_real_orders_the_same_for_the_same_number(
    shop: Path, seed: int
) -> None:
    texts = tickets(shop, seed)
    assert len(set(texts)) == 12
    assert texts == tickets(shop, seed)
    with closing(connect(shop)) as db:
        for order_id in re.findall(r"#W\d+", " ".join(texts)):
            assert records.order(db, order_id) is not None


def test_no_ticket_spoils_another(shop: Path) -> None:
    named = re.findall(r"#W\d+", " ".join(tickets(shop)))
    with closing(connect(shop)) as db:
        buyers = [order.customer_id for name in named if (order := records.order(db, name))]
    assert len(buyers) == len(set(buyers)) + 1  # the last ticket is about two orders of one customer


@pytest.mark.parametrize("seed", [1, 7])
def test_every_ticket_but_the_hostile_one_is_understood(shop: Path, seed: int) -> None:
    not_understood = [text for text in tickets(shop, seed) if split(text).unread]
    assert len(not_understood) == 1
    assert "Ignore your rules" in not_understood[0]


def test_one_order_is_large_enough_for_a_person_to_look_at(shop: Path) -> None:
    [large] = [text for text in tickets(shop) if "#W8000000" in text]
    with closing(connect(shop)) as db:
        order = records.order(db, "#W8000000")
    assert "cancel" in large
    assert order is not None
    assert order.total_cents > 400_000


def test_a_shop_that_is_there_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = ["--home", str(tmp_path)]
    assert run(["shop", "seed", *home, "--number", "3"]) == 0
    before = (tmp_path / "shop.db").read_bytes()
    assert run(["shop", "seed", *home]) == 1
    assert "--replace" in capsys.readouterr().err
    assert (tmp_path / "shop.db").read_bytes() == before
    assert run(["shop", "seed", *home, "--replace"]) == 0
    with pytest.raises(ShopError):
        make(tmp_path / "shop.db")


def test_an_import_that_fails_says_why_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.json").write_text("{}")
    (tmp_path / "book.md").write_text("# Book\n\n## Returns\n\nWithin 30 days.\n")
    arguments = [str(tmp_path / "mine.json"), str(tmp_path / "book.md"), "--home", str(tmp_path / "home")]
    assert run(["shop", "import", *arguments]) == 1
    assert capsys.readouterr().err.startswith("error: shop.json: products must be an object")
