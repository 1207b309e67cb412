"""The notary signs what is new in the log, and brings the signature out of the database's reach.

Any replica may do it, and all may at once: a smaller tree that is signed later is no contradiction. While nothing is appended it rests.
It signs nothing that does not continue what it, or who signed before it into the same anchor, has signed.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from meshwright.audit.anchor import Anchor, Kept, line_of
from meshwright.audit.log import GENESIS, TOPIC
from meshwright.audit.merkle import Tree
from meshwright.audit.note import Notesigner, seed_of, signer_of
from meshwright.audit.privacy import derive, hold
from meshwright.chore import Chore
from meshwright.errors import StoreUnavailable
from meshwright.records.metrics import Sample, of_log
from meshwright.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from meshwright.database import Database, Row, Transaction

log = logging.getLogger(__name__)

#: Commits with entries after which it does not wait any longer.
MANY = 1000
#: Rows of one read.
ROWS = 1000
#: Seconds that the last checkpoint of a process may take.
LAST = 2.0


class Broken(Exception):
    """The log does not continue what was signed."""


class Notary:
    """Signs the log of one database into one anchor: `every` seconds after something was appended, or after `many` commits of that kind."""

    def __init__(
        self,
        database: Database,
        signer: Notesigner,
        anchor: Anchor,
        every: float,
        *,
        many: int = MANY,
        out: TextIO | None = None,
    ) -> None:
        self._database, self._signer, self._anchor, self._every = database, signer, anchor, every
        self._many, self._out = many, out
        self._tree: Tree | None = None
        self._last = GENESIS
        self._signed = 0
        self._at = time.time()
        self._entries = 0
        self._broken = False
        self._heard = 0
        #: When the first entry came that has no checkpoint yet, as far as one can know; else None.
        self._since: float | None = None
        self._bell, self._full = asyncio.Event(), asyncio.Event()
        self._keeping: Chore | None = None
        self._deaf: Callable[[], None] = lambda: None

    def start(self) -> None:
        self._deaf = self._database.listen(self._hear)
        self._bell.set()  # for what was appended while nobody was here
        self._keeping = Chore("the notary", self._keep)
        self._keeping.start()

    async def aclose(self) -> None:
        """Stop, after a checkpoint of what is new."""
        self._deaf()
        if self._keeping is None:
            return
        await self._keeping.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST):
                await self._sign_or_tell()

    async def sign(self) -> int:
        """Sign the log as it is, if there is anything new. Returns how many entries are signed now.

        Raises Broken, StoreUnavailable, OSError.
        """
        first = self._tree is None
        kept = await asyncio.to_thread(self.kept) if first else Kept()
        self._entries = await self._head()
        if first and kept.checkpoints:
            self._signed = kept.checkpoints[-1].size
            self._at = self._anchor.path.stat().st_mtime
        if self._entries == self._signed:
            return self._signed
        tree, last, start, new = await self._grown(kept)
        if tree.size > self._signed:
            note = self._signer.note(tree.size, tree.root)
            await asyncio.to_thread(self._anchor.add, note, start, new)
            print(line_of(note, tree.size), file=self._out or sys.stdout, flush=True)
            self._signed, self._at = tree.size, time.time()
        self._tree, self._last = tree, last
        return self._signed

    @property
    def signed(self) -> int:
        """How many entries are signed, as far as this process knows."""
        return self._signed

    @property
    def age(self) -> float:
        """Seconds since the last checkpoint; before the first, since the process began."""
        return max(0.0, time.time() - self._at)

    @property
    def broken(self) -> bool:
        """Whether it has refused to sign, because the log does not continue what was signed."""
        return self._broken

    @property
    def anchor(self) -> Anchor:
        return self._anchor

    def samples(self) -> Iterator[Sample]:
        lag = 0.0 if self._since is None else max(0.0, time.time() - self._since)
        return of_log(self._entries, self._signed, self.age, lag, broken=self._broken)

    def _hear(self, topic: str | None, mine: bool) -> None:
        if topic in (TOPIC, None):
            self._bell.set()
            self._since = self._since or time.time()
        if topic == TOPIC:
            self._heard += 1
            if self._heard >= self._many:
                self._full.set()

    async def _keep(self) -> None:
        while True:
            await self._bell.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._full.wait()
            self._heard = 0
            self._bell.clear()
            self._full.clear()
            if not await self._sign_or_tell():
                self._bell.set()

    async def _sign_or_tell(self) -> bool:
        first, self._since = self._since, None
        try:
            await self.sign()
        except (StoreUnavailable, OSError) as error:
            log.warning("the audit log has no new checkpoint: %s", error)
            self._since = first or self._since
            return False
        except Broken as error:
            # said every time that there would have been one: somebody has to look
            log.critical(
                "the audit log is NOT signed any more: %s; `meshwright audit verify` says more", error
            )
            self._broken = True
            self._since = first or self._since
            return True
        self._broken = False
        return True

    def kept(self) -> Kept:
        """What the anchor holds; reads a file."""
        with suppress(FileNotFoundError):
            return self._anchor.read([self._signer.verifier])
        return Kept()

    async def _head(self) -> int:
        async def op(tx: Transaction) -> int:
            return int((await tx.execute("SELECT seq FROM audit_head"))[0]["seq"])

        return await self._database.read(op)

    async def _grown(self, kept: Kept) -> tuple[Tree, bytes, int, list[bytes]]:
        """The tree with all that is new, the last hash, how many entries it had, and the hashes of the others. Raises Broken."""
        if self._entries < self._signed:
            raise Broken(f"it has {self._entries} entries, and {self._signed} were signed")
        tree, last = Tree(), GENESIS
        if self._tree is not None:  # a copy: what is not signed after all has not happened
            tree, last = self._tree.copy(), self._last
        elif kept.checkpoints:
            known = await asyncio.to_thread(self._anchor.hashes, kept.checkpoints[-1])
            for leaf in known:
                tree.add(leaf)
                last = leaf
        start = tree.size
        new: list[bytes] = []
        while rows := await self._database.read(lambda tx: _after(tx, tree.size)):
            for row in rows:
                if row["seq"] != tree.size + 1 or bytes(row["prev"]) != last:
                    raise Broken(f"entry {tree.size + 1} does not continue the one before it")
                last = bytes(row["hash"])
                tree.add(last)
                new.append(last)
                if tree.size == self._signed and kept.checkpoints and tree.root != kept.checkpoints[-1].root:
                    raise Broken(f"its first {tree.size} entries are not those that were signed")
            await asyncio.sleep(0)  # others have work to do, too
        return tree, last, start, new


async def _after(tx: Transaction, seq: int) -> list[Row]:
    return await tx.execute(
        "SELECT seq, prev, hash FROM audit_log WHERE seq > ? ORDER BY seq LIMIT ?", seq, ROWS
    )


@asynccontextmanager
async def notarized(database: Database, name: str, settings: Settings) -> AsyncIterator[Notary | None]:
    """Keep the keys and sign the log of the process `name` around the body; None where nothing is signed.

    Raises SettingsError for a key that cannot be used.
    """
    if (
        settings.database_of(name) == "memory:"
    ):  # ends with the process, and so does what could be proved of it
        yield None
        return
    anchor, secret = settings.audit_files(name)
    own = (
        settings.key
        if settings.audit_secret is None and not settings.database_of(name).startswith("sqlite:")
        else None
    )
    try:
        derive(seed_of(own)) if own is not None else hold(secret)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{'MESHWRIGHT_KEY' if own else 'MESHWRIGHT_AUDIT_SECRET'}: {error}") from None
    key = settings.audit_key or settings.key
    if key is None:
        log.warning(
            "the audit log gets no checkpoints, so its end and its owner have to be believed: set MESHWRIGHT_AUDIT_KEY"
        )
        yield None
        return
    try:
        signer = signer_of(name, key)
    except (OSError, ValueError) as error:
        raise SettingsError(f"MESHWRIGHT_AUDIT_KEY: {key} is no private key ({error})") from None
    notary = Notary(database, signer, Anchor(anchor), settings.audit_every)
    notary.start()
    try:
        yield notary
    finally:
        await notary.aclose()
