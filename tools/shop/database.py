"""The shop's one SQLite file: how it is laid out, and how processes share it.

The four tool servers may be several processes on this file. SQLite does the locking: WAL lets readers go on
beside the one writer, and a write takes its lock at BEGIN, so that what it read is still true when it
writes. What is always read as a whole (an address, options) is a JSON column; what is counted or searched
is a real one.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TypeVar

from meshwright.grants.used import TABLE as GRANTS_USED
from meshwright.settings import SettingsError

SCHEMA_VERSION = 1

#: How long a write waits for another process's write, in milliseconds. Writes take a few; past this
#: something hangs.
BUSY_MS = 5_000

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE customers (
  customer_id TEXT PRIMARY KEY, first_name TEXT NOT NULL, last_name TEXT NOT NULL, email TEXT NOT NULL,
  address TEXT NOT NULL,
  email_key TEXT NOT NULL, name_key TEXT NOT NULL  -- case-folded, for finding somebody
) STRICT;
CREATE INDEX customers_by_email ON customers (email_key);
CREATE INDEX customers_by_name ON customers (name_key);
CREATE TABLE payment_methods (
  customer_id TEXT NOT NULL REFERENCES customers, payment_method_id TEXT NOT NULL, kind TEXT NOT NULL,
  brand TEXT NOT NULL DEFAULT '', last_four TEXT NOT NULL DEFAULT '',
  balance_cents INTEGER NOT NULL DEFAULT 0 CHECK (balance_cents >= 0),  -- the last defence, not the rule
  PRIMARY KEY (customer_id, payment_method_id)
) STRICT;
CREATE TABLE products (product_id TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT;
CREATE TABLE variants (
  item_id TEXT PRIMARY KEY, product_id TEXT NOT NULL REFERENCES products, options TEXT NOT NULL,
  available INTEGER NOT NULL, price_cents INTEGER NOT NULL CHECK (price_cents >= 0)
) STRICT;
CREATE INDEX variants_by_product ON variants (product_id);
CREATE TABLE orders (
  order_id TEXT PRIMARY KEY, customer_id TEXT NOT NULL REFERENCES customers, status TEXT NOT NULL,
  address TEXT NOT NULL, tracking TEXT NOT NULL, cancel_reason TEXT NOT NULL DEFAULT '', request TEXT
) STRICT;
CREATE INDEX orders_by_customer ON orders (customer_id);
CREATE TABLE order_items (  -- by line, because one order may hold the same item twice
  order_id TEXT NOT NULL REFERENCES orders, line INTEGER NOT NULL, item_id TEXT NOT NULL,
  product_id TEXT NOT NULL, name TEXT NOT NULL, options TEXT NOT NULL,
  price_cents INTEGER NOT NULL, PRIMARY KEY (order_id, line)
) STRICT;
CREATE TABLE payments (
  order_id TEXT NOT NULL REFERENCES orders, seq INTEGER NOT NULL, kind TEXT NOT NULL,
  amount_cents INTEGER NOT NULL CHECK (amount_cents >= 0), payment_method_id TEXT NOT NULL,
  PRIMARY KEY (order_id, seq)
) STRICT;
CREATE VIRTUAL TABLE articles USING fts5 (article UNINDEXED, title, body, tokenize = 'porter unicode61');
CREATE TABLE tickets (ticket_id TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
CREATE TABLE ticket_notes (
  ticket_id TEXT NOT NULL REFERENCES tickets, seq INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
  at TEXT NOT NULL, PRIMARY KEY (ticket_id, seq)
) STRICT;
CREATE TABLE effects (  -- the journal: one row per write that happened, in the order in which they happened
  seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, tool TEXT NOT NULL,
  arguments TEXT NOT NULL, ticket TEXT NOT NULL, caller TEXT NOT NULL, at TEXT NOT NULL, result TEXT NOT NULL
) STRICT;
CREATE INDEX effects_by_tool ON effects (tool);
"""

Result = TypeVar("Result")


class ShopError(SettingsError):
    """The shop's file, or what should go into it, is not right; the message says what to do.

    A SettingsError, because a server that is pointed at no shop should stop with one line and not with a
    traceback.
    """


def connect(path: Path) -> sqlite3.Connection:
    """A connection that keeps what it acknowledged through a power cut. The caller closes it."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000)
    db.row_factory = sqlite3.Row
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        db.execute(f"PRAGMA {pragma}")
    return db


class Door:
    """One connection that threads take in turns, opened at first use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._db: sqlite3.Connection | None = None

    def run(self, work: Callable[[sqlite3.Connection], Result], begin: str) -> Result:
        with self._lock:
            if self._db is None:
                self._db = connect(self._path)
            with transaction(self._db, begin):
                return work(self._db)

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None


class Shop:
    """An open shop. Reads and writes have doors of their own, so a write that waits holds up no read.

    SQLite blocks, so the work runs in a thread. A caller that is cancelled stops waiting; the work itself
    still ends whole or not at all, and a write is then found again by its key.
    """

    def __init__(self, path: Path) -> None:
        """Raises ShopError when there is no shop at `path`, or one of another version."""
        if not path.is_file():
            raise ShopError(
                f"no shop at {path}: make one with `meshwright shop seed` or `meshwright shop import`"
            )
        self.path = path
        self._reads, self._writes = Door(path), Door(path)
        try:
            if self._reads.run(_lacks_grants, "BEGIN"):
                self._writes.run(_add_grants, "BEGIN IMMEDIATE")
        except sqlite3.DatabaseError as error:
            self.close()
            raise ShopError(f"{path} is not a shop: {error}") from error
        except ShopError:
            self.close()
            raise

    async def read(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """What `work` finds, all of it seen at one moment."""
        return await asyncio.to_thread(self._reads.run, work, "BEGIN")

    async def write(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """What `work` returns, once its effect is on disk; when it raises, nothing happened."""
        return await asyncio.to_thread(self._writes.run, work, "BEGIN IMMEDIATE")

    def close(self) -> None:
        self._reads.close()
        self._writes.close()


@contextmanager
def transaction(db: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """All of it or nothing."""
    db.execute(begin)
    try:
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:  # the work raised, or the commit did
            db.execute("ROLLBACK")


def create(db: sqlite3.Connection) -> None:
    """Lay out an empty shop. Commits."""
    db.executescript(f"{SCHEMA};{GRANTS_USED}")
    db.execute("INSERT INTO meta VALUES ('schema', ?)", (str(SCHEMA_VERSION),))


def _lacks_grants(db: sqlite3.Connection) -> bool:
    """Whether writes were made here by a build that knew no grants. Raises ShopError for a shop that cannot be used."""
    _check_version(db)
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'grants_used'").fetchall():
        return True
    return bool(
        db.execute("SELECT 1 FROM effects WHERE key NOT IN (SELECT key FROM grants_used) LIMIT 1").fetchall()
    )


def _add_grants(db: sqlite3.Connection) -> None:
    """The effects that are there keep their keys, so that who asks again gets the first receipt; nobody granted them."""
    db.execute(GRANTS_USED)
    db.execute(
        "INSERT INTO grants_used (jti, key, tool, args, ticket, issuer, policy, approvers, at, result, refused)"
        " SELECT 'before-' || seq, key, tool, '', ticket, caller, '', '[]', CAST(strftime('%s', at) AS INTEGER), result, ''"
        " FROM effects WHERE key NOT IN (SELECT key FROM grants_used)"
    )


def _check_version(db: sqlite3.Connection) -> None:
    row = db.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
    if row is None or row["value"] != str(SCHEMA_VERSION):
        found = "none" if row is None else row["value"]
        raise ShopError(f"this shop has layout {found}, {SCHEMA_VERSION} is needed: make it anew")
