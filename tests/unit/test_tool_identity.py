"""Who somebody is: what is enough, what is not, and what a refusal must not tell."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from customers.identity import identify
from shop.database import Shop
from shop.importer import import_shop
from shop.models import Identity
from shop.testing import document, folder, small_shop


async def ask(tmp_path: Path, **said: str) -> Identity:
    with closing(small_shop(tmp_path)) as shop:
        return await shop.read(lambda db: identify(db, **said))


@pytest.mark.parametrize(
    "said",
    [
        {"email": "ada.novak@example.com"},
        {"email": "  ADA.Novak@EXAMPLE.com "},
        {"name": "Ada Novak", "zip": "97201"},
        {"name": "ada  NOVAK", "zip": " 97201 "},
        {"customer_id": "ada", "zip": "97201"},
        {"customer_id": "ada", "email": "ada.novak@example.com"},
        {"name": "Ada", "email": "ada.novak@example.com"},
        {"name": "Ada Novak", "zip": "97201", "email": "old@example.com"},
        {"name": "Ada Novak", "zip": "99999", "email": "ada.novak@example.com"},
        {"email": "mistyped@example.com", "email2": "ada.novak@example.com"},
        {"email": "a@example.com", "email2": "b@example.com", "email3": "ada.novak@example.com"},
        {"email": "ada.novak@example.com", "email2": "ADA.novak@example.com"},
    ],
)
async def test_these_name_one_customer(tmp_path: Path, said: dict[str, str]) -> None:
    answer = await ask(tmp_path, **said)
    assert (answer.customer_id, answer.verified) == ("ada", True)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"name": "Ada Novak"},
        {"zip": "97201"},
        {"customer_id": "ada"},
        {"customer_id": "ada", "name": "Ada Novak"},
        {"name": "Ada", "zip": "97201"},
        {"name": "Novak", "zip": "97201"},
        {"name": "Ada Novak", "zip": "99999"},
        {"email": "nobody@example.com"},
        {"customer_id": "ada", "zip": "99999"},
        {"customer_id": "ben", "email": "ada.novak@example.com"},
        {"customer_id": "ben", "name": "Ada Novak", "zip": "97201"},
        {"name": "Ben Ibsen", "email": "ada.novak@example.com"},
        {"name": "Ben Ibsen", "zip": "97201", "email": "ada.novak@example.com"},
        {"email": "ada.novak@example.com", "email2": "ben.ibsen@example.com"},
        {"email": "ben.ibsen@example.com", "email2": "x@example.com", "email3": "ada.novak@example.com"},
        {"email": "x@example.com", "email2": "y@example.com"},
        {"name": "Ben Ibsen", "email": "x@example.com", "email2": "ada.novak@example.com"},
        {"email": "%@example.com"},
        {"email": "' OR 1=1 --"},
    ],
)
async def test_these_do_not(tmp_path: Path, said: dict[str, str]) -> None:
    answer = await ask(tmp_path, **said)
    assert (answer.customer_id, answer.verified) == ("", False)


async def test_a_refusal_does_not_tell_which_part_was_wrong(tmp_path: Path) -> None:
    said = [
        {"name": "Ada Novak", "zip": "99999"},
        {"name": "Nobody Known", "zip": "97201"},
        {"email": "nobody@example.com"},
        {"customer_id": "ada", "zip": "99999"},
        {"customer_id": "nobody", "zip": "97201"},
        {"name": "Ben Ibsen", "email": "ada.novak@example.com"},
    ]
    assert len({(await ask(tmp_path / str(n), **each)).why for n, each in enumerate(said)}) == 1


async def test_two_people_of_one_name_in_one_place_are_nobody(tmp_path: Path) -> None:
    shop = document()
    shop["users"]["ben"]["name"] = {"first_name": "Ada", "last_name": "Novak"}
    import_shop(folder(tmp_path / "files", shop), tmp_path / "shop.db")
    with closing(Shop(tmp_path / "shop.db")) as opened:
        answer = await opened.read(lambda db: identify(db, name="Ada Novak", zip="97201"))
    assert not answer.verified
