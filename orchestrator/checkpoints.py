"""LangGraph's checkpoints as JSON rows, written under the task's claim: a driver that lost its lease writes none.

Each step is one operation that first proves the claim, and shares its commit with whatever else is written at that moment.
Of a run's checkpoints only the newest and its parent are kept: they are for going on, the record of a run is elsewhere. Which is the newer is
said by which is the parent; their ids are made of the time, and the clock of whoever takes a run over may be behind.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_metadata,
)
from langgraph.types import Interrupt, Send

from meshwright.records import decisions
from meshwright.tasks.lease import check
from meshwright.tasks.snapshot import Claim

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from meshwright.database import Database, Row, Transaction
    from meshwright.records.minutes import Minutes

#: Of the JSON below. Rises when an older build could not read it.
FORMAT = 1
#: Of the checkpoints `c` of a run: the one that is no other's parent.
_NEWEST_FIRST = "EXISTS (SELECT 1 FROM run_checkpoints n WHERE n.thread = c.thread AND n.place = c.place AND n.parent = c.id), id DESC"
#: LangGraph's own channels, whose values are its own classes.
_INTERRUPTS, _ERRORS, _SENDS = "__interrupt__", "__error__", "__pregel_tasks"


class Checkpoints(BaseCheckpointSaver[int]):
    """A saver over the mesh's database. `config["configurable"]["claim"]` proves each write; without one nothing is written.

    What was decided in a step (`config["configurable"]["minutes"]`) is kept with its checkpoint.
    """

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        claim, thread, place = _claim(config), *_thread(config)
        parent = config["configurable"].get("checkpoint_id") or ""
        values = {name: _plain(name, value) for name, value in checkpoint["channel_values"].items()}
        try:
            body = _json(
                {"format": FORMAT, "checkpoint": {**checkpoint, "channel_values": values}}, "the checkpoint"
            )
        except TypeError:
            for channel, value in values.items():
                _json(value, f"channel {channel!r}")  # raises for the one that is off, with its name
            raise
        notes = _json(get_checkpoint_metadata(config, metadata), "the metadata")
        minutes: Minutes | None = config["configurable"].get("minutes")
        decided = minutes.open if minutes is not None else []
        # a run that is not planned yet begins anew each time: that is no progress
        begun = bool(values.get("round"))

        async def op(tx: Transaction) -> None:
            await check(tx, claim, progress=begun)
            await tx.execute(
                "INSERT INTO run_checkpoints (thread, place, id, parent, body, notes) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (thread, place, id) DO UPDATE SET body = excluded.body, notes = excluded.notes",
                *(thread, place, checkpoint["id"], parent, body, notes),
            )
            await decisions.write(tx, decided)
            for table, column in (("run_checkpoints", "id"), ("run_writes", "checkpoint")):
                await tx.execute(
                    f"DELETE FROM {table} WHERE thread = ? AND place = ? AND {column} NOT IN (?, ?)",
                    *(thread, place, checkpoint["id"], parent),
                )

        await self._database.write(op)
        if minutes is not None:
            minutes.kept(decided)
        return _config(thread, place, checkpoint["id"])

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        # One node runs at a time: what it wrote is in the checkpoint that follows at once, and a node that was cut off between the
        # two is run again, as one that was cut off before. What LangGraph says in its own channels (interrupts, their answers) stays.
        rows = [
            (WRITES_IDX_MAP[channel], channel, _json(_plain(channel, value), f"channel {channel!r}"))
            for channel, value in writes
            if channel in WRITES_IDX_MAP
        ]
        if not rows:
            return
        claim, thread, place = _claim(config), *_thread(config)
        checkpoint = config["configurable"]["checkpoint_id"]

        async def op(tx: Transaction) -> None:
            await check(tx, claim)
            for number, channel, body in rows:
                await tx.execute(
                    "INSERT INTO run_writes (thread, place, checkpoint, task, number, path, channel, body)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (thread, place, checkpoint, task, number)"
                    " DO UPDATE SET channel = excluded.channel, body = excluded.body",
                    *(thread, place, checkpoint, task_id, number, task_path, channel, body),
                )

        await self._database.write(op)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        thread, place = _thread(config)
        wanted = config["configurable"].get("checkpoint_id")

        async def op(tx: Transaction) -> tuple[Row, list[Row]] | None:
            rows = await tx.execute(
                "SELECT * FROM run_checkpoints c WHERE thread = ? AND place = ?"
                + (" AND id = ?" if wanted else f" ORDER BY {_NEWEST_FIRST} LIMIT 1"),
                *((thread, place, wanted) if wanted else (thread, place)),
            )
            if not rows:
                return None
            writes = await tx.execute(
                "SELECT task, channel, body FROM run_writes WHERE thread = ? AND place = ? AND checkpoint = ?"
                " ORDER BY path, task, number",
                *(thread, place, rows[0]["id"]),
            )
            return rows[0], writes

        found = await self._database.read(op)
        return _tuple(*found) if found else None

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """The newest checkpoint of a thread and its parent: no more are kept."""
        if config is None:
            return
        thread, place = _thread(config)

        async def op(tx: Transaction) -> list[Row]:
            return await tx.execute(
                f"SELECT id FROM run_checkpoints c WHERE thread = ? AND place = ? ORDER BY {_NEWEST_FIRST}",
                thread,
                place,
            )

        edge = before["configurable"]["checkpoint_id"] if before else None
        ids = [row["id"] for row in await self._database.read(op) if edge is None or row["id"] < edge]
        for checkpoint in ids[:limit]:
            found = await self.aget_tuple(_config(thread, place, checkpoint))
            if found is not None and (filter or {}).items() <= dict(found.metadata).items():
                yield found

    async def adelete_thread(self, thread_id: str) -> None:
        async def op(tx: Transaction) -> None:
            for table in ("run_checkpoints", "run_writes"):
                await tx.execute(f"DELETE FROM {table} WHERE thread = ?", thread_id)

        await self._database.write(op)


def _claim(config: RunnableConfig) -> Claim:
    claim = config["configurable"].get("claim")
    if not isinstance(claim, Claim):
        raise TypeError("config['configurable']['claim'] must hold the claim of the run's task")
    return claim


def _thread(config: RunnableConfig) -> tuple[str, str]:
    return str(config["configurable"]["thread_id"]), str(config["configurable"].get("checkpoint_ns", ""))


def _config(thread: str, place: str, checkpoint: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": place, "checkpoint_id": checkpoint}}


class Unreadable(Exception):
    """Why a checkpoint cannot be gone on from by this build."""


def _tuple(row: Row, writes: list[Row]) -> CheckpointTuple:
    """Raises Unreadable."""
    try:
        return _read(row, writes)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"its checkpoint cannot be read ({type(error).__name__}): it is damaged") from error


def _read(row: Row, writes: list[Row]) -> CheckpointTuple:
    thread, place, body = row["thread"], row["place"], json.loads(row["body"])
    if body["format"] > FORMAT:
        raise Unreadable(
            f"its checkpoint has format {body['format']} and this build reads up to {FORMAT}: it needs a newer build"
        )
    checkpoint = body["checkpoint"]
    for needed in ("v", "channel_versions", "versions_seen"):
        checkpoint[needed]  # else LangGraph finds out, in the middle of a step
    checkpoint["channel_values"] = {n: _restored(n, v) for n, v in checkpoint["channel_values"].items()}
    return CheckpointTuple(
        _config(thread, place, row["id"]),
        checkpoint,
        json.loads(row["notes"]),
        _config(thread, place, row["parent"]) if row["parent"] else None,
        [(w["task"], w["channel"], _restored(w["channel"], json.loads(w["body"]))) for w in writes],
    )


def _plain(channel: str, value: Any) -> Any:
    """LangGraph's own objects as JSON. Which they are is told by the channel, never by what a value looks like."""
    if channel == _INTERRUPTS:
        return [{"value": each.value, "id": each.id} for each in value]
    if channel == _SENDS:
        return [
            {"node": s.node, "arg": s.arg} for s in (value if isinstance(value, list | tuple) else [value])
        ]
    if channel == _ERRORS:
        return repr(value)
    return value


def _restored(channel: str, value: Any) -> Any:
    if channel == _INTERRUPTS:
        return tuple(Interrupt(value=each["value"], id=each["id"]) for each in value)
    if channel == _SENDS:
        return [Send(each["node"], each["arg"]) for each in value]
    return value


def _json(value: Any, what: str) -> str:
    """Raises TypeError for a state that is not JSON: it would come back as something else."""
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{what} is not JSON ({error}): a run's state holds JSON only") from None
