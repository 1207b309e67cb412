"""Drives runs through the graph, from wherever they stand: new ones, those that waited for a person, those whose driver died."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langgraph.runtime import Runtime

from meshwright.contradictions import Contradictions
from meshwright.errors import CallerError, DeadlineExceeded, Forbidden, InvalidRequest, NotFound, Overloaded
from meshwright.findings import Asks, Gap, Proposal
from meshwright.inbound.executor import Incoming, Outcome
from meshwright.ledger import Account
from meshwright.records.tracing import in_run
from meshwright.reviews.traced import word_of
from meshwright.reviews.word import Word
from meshwright.tasks.outbox import Outbox
from meshwright.tasks.turn import Postponed
from meshwright.wallet import daily
from orchestrator.aggregate import MERGE
from orchestrator.apply import note_cut_off
from orchestrator.explained import ended
from orchestrator.finish import cut_short, finish, last_word
from orchestrator.gate import action_key
from orchestrator.graph import RECURSION_LIMIT
from orchestrator.plan import SPLIT
from orchestrator.purse import Purse, account_of
from orchestrator.questions import named_in, open_questions, put
from orchestrator.resume import ready_to_go_on
from orchestrator.schema import schema_of
from orchestrator.spoken import decided, decisions_in, notice, the_only, waits
from orchestrator.word import came_after
from orchestrator.work import GRAPH_VERSION, Drive, Said, code_of, new_work, report

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

    from meshwright.database import Database
    from meshwright.outbound.directory import Directory
    from meshwright.outbound.toolbox import Toolbox
    from meshwright.policy.rules import Policy
    from meshwright.records.runs import RunStore
    from meshwright.reviews.store import ReviewStore
    from meshwright.settings import Settings
    from meshwright.tasks.outbox import Letter
    from orchestrator.collect import Collector

#: Characters of a request. What is longer is not a ticket.
MAX_REQUEST = 20_000
#: The share of the deadline that a request may wait for the mesh to be complete.
PATIENCE = 0.3


@dataclass(frozen=True, slots=True)
class Driver:
    """Everything a run needs. `work` is what the A2A server calls, for each message of a task and after each crash."""

    graph: CompiledStateGraph[Any, Drive, Any, Any]
    directory: Directory
    toolbox: Toolbox
    policy: Policy
    store: RunStore
    reviews: ReviewStore
    database: Database
    name: str
    settings: Settings
    is_operator: Callable[[str], bool]
    collector: Collector
    contradictions: Contradictions = field(default_factory=Contradictions)

    async def work(self, incoming: Incoming) -> Outcome:
        """One message: a new request, or word that a waiting one may go on. Where the run stands decides what happens."""
        decisions = decisions_in(incoming.data)
        if decisions and not incoming.follow_up:
            return Outcome(text=decided(await self._decision(incoming.caller, decisions)))
        run = await self._run_of(incoming)
        note, said = "", None
        if decisions:
            try:
                note = decided(await self._decision(incoming.caller, decisions))
            except CallerError as error:
                note = str(error)
        if run["state"] not in ("working", "waiting"):
            return _ended(run)
        if run["state"] == "waiting":
            said = await self._answer(run, incoming) if not decisions else None
            if said is None and (incoming.text or incoming.data or not incoming.resumed):
                # Only word of a decision moves a run that waits for people, and has a turn of its own, which comes from its row: a
                # client's message, with the little time that the client may have, must not.
                return await self._parked(run["id"], run["report"] or {}, note)
        else:
            await self.directory.wait_for([SPLIT, MERGE], incoming.by.share(PATIENCE))
        with in_run(run["id"]):
            return await self._drive(run, incoming, said)

    async def decide(self, key: str, word: Word, by: str) -> dict[str, Any]:
        """What an operator says of a review, through whichever door. Raises what `ReviewStore.decide` raises."""
        became = ""
        if word.arguments is not None:
            review = await self.reviews.one(key)
            became = action_key(
                review["run"], Proposal(action=review["action"], arguments=dict(word.arguments))
            )
        async with word_of(self.database, key, word.decision):
            return await self.reviews.decide(key, word, by=by, became=became)

    async def _decision(self, caller: str, decisions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """A decision that came as a message."""
        if not self.is_operator(caller):
            raise Forbidden("only an operator decides reviews")
        document = the_only(decisions)
        key = str(document["review"])
        # what cannot be an id is found as little as one that is not there
        return await self.decide(key if key.isprintable() else "", Word.read(document), caller)

    async def _answer(self, run: dict[str, Any], incoming: Incoming) -> Said | None:
        """What a message says to the question that was put to the client; None where it is no answer to that."""
        asked = _asked_in(run["report"] or {})
        if asked is None or not incoming.text:
            return None
        named = named_in(incoming.data)
        if named != asked.id and (
            named or not await came_after(self.database, incoming.task_id, incoming.message_id, asked.id)
        ):
            return None
        return Said(asked.id, incoming.text)

    async def unheard(self, incoming: Incoming, why: Overloaded) -> Outcome:
        """The answer to a request that cannot be worked on in time: that nothing was done, for a person to take over.

        Raises Postponed for one that had begun, and for a decision: it goes on when there is room.
        """
        if incoming.follow_up or incoming.resumed or decisions_in(incoming.data):
            raise Postponed(str(why), why.retry_after)
        request, key = _request(incoming), run_id(incoming.task_id)
        gap = Gap(what="the whole request", why=f"too much is asked at the moment: {why}")
        state = new_work(key, request)
        state["gaps"] = [gap.model_dump(mode="json")]
        account = Account("run", key, incoming.budget.limit, incoming.budget.micros)
        drive = self._drive_of(account, incoming.caller, incoming, {})
        lacks = {"degraded": [code_of(why)]}
        summary = report({**state, **lacks, **await finish(state, Runtime(context=drive))})
        ended(drive.minutes, key, summary)
        await self.store.ended_at_once(
            key,
            task_id=incoming.task_id,
            caller=incoming.caller,
            request=request,
            graph_version=GRAPH_VERSION,
            report=summary,
            claim=drive.claim,
            minutes=drive.minutes,
        )
        return _ended({"state": summary["outcome"], "report": summary})

    async def _run_of(self, incoming: Incoming) -> dict[str, Any]:
        """The run of the task; made with its first message, found again ever after."""
        if not incoming.follow_up:
            await self.store.start(
                run_id(incoming.task_id),
                task_id=incoming.task_id,
                caller=incoming.caller,
                request=_request(incoming),
                graph_version=GRAPH_VERSION,
            )
        run = await self.store.by_task(incoming.task_id)
        if run is None:
            raise NotFound("this task belongs to no run; send a new message without taskId")
        return run

    async def _drive(self, run: dict[str, Any], incoming: Incoming, said: Said | None = None) -> Outcome:
        assert incoming.claim is not None
        key, claim = run["id"], incoming.claim
        letters = await Outbox(self.database, self.name, claim).letters()
        account = await self.database.read(
            lambda tx: account_of(tx, key, incoming.task_id, incoming.budget, self.settings)
        )
        drive = self._drive_of(account, run["caller"], incoming, letters, said)
        config: Any = {
            "configurable": {"thread_id": key, "claim": claim, "minutes": drive.minutes},
            "recursion_limit": RECURSION_LIMIT,
        }
        fresh = new_work(key, run["request"])
        finished = False

        async def keep(state: dict[str, Any]) -> None:
            last = {name: state[name] for name in fresh} | {"schema_version": schema_of(state)}
            await self.graph.aupdate_state(config, last, as_node="apply")

        try:
            begin = None if await ready_to_go_on(self.graph, config) else fresh
            try:
                async with asyncio.timeout(incoming.by.remaining - last_word(incoming.by)) as enough:
                    state: Any = await self.graph.ainvoke(begin, config, context=drive, durability="sync")
            except TimeoutError:
                if not enough.expired():
                    raise
                now = await self.graph.aget_state(config)
                for row in open_questions(now.values).values():  # nobody will answer them any more
                    await drive.outbox.let_go(row["letter"])
                state = await cut_short(dict(fresh) | now.values, drive, keep)
            finished = True
        finally:
            if not finished and incoming.by.expired:
                # The time is up: the run must not look as if it went on. In every other case it does, here or elsewhere.
                now = await self.graph.aget_state(config)
                await self._failed(drive, {**fresh, **now.values}, "the time was up")
        if "__interrupt__" in state:
            asked = put(state)
            put_to = {"asks": asked.model_dump(mode="json", exclude_none=True)} if asked else {}
            summary = {**report(state, waiting=True), "usage": await _usage(drive), **put_to}
            await self.store.save(key, summary["outcome"], summary, claim, drive.minutes)
            return await self._parked(key, summary)
        if not state.get("outcome"):
            await self._failed(drive, state, "it came to no outcome")
            raise RuntimeError(f"run {key} ended without an outcome")
        return await self._end(drive, state)

    async def _parked(self, key: str, summary: dict[str, Any], note: str = "") -> Outcome:
        reviews = await self.reviews.waiting(key)
        asked = _asked_in(summary)
        words, data = waits(reviews, note, asked), notice(reviews, asked)
        notes = _notes(summary) | ({"asks": asked.id} if asked is not None else {})
        return Outcome(data=summary, name="report", waits=words, notice=data, metadata=notes)

    async def _failed(self, drive: Drive, state: Mapping[str, Any], why: str) -> None:
        await note_cut_off(drive, why)
        summary = {**report(state), "outcome": "failed", "why": why}
        ended(drive.minutes, drive.run, summary)
        await self.store.save(drive.run, "failed", summary, drive.claim, drive.minutes)

    async def _end(self, drive: Drive, state: Mapping[str, Any]) -> Outcome:
        summary = {**report(state), "usage": await _usage(drive)}
        ended(drive.minutes, drive.run, summary)
        await self.store.save(drive.run, summary["outcome"], summary, drive.claim, drive.minutes)
        return _ended({"state": summary["outcome"], "report": summary})

    def _drive_of(
        self,
        account: Account,
        tenant: str,
        incoming: Incoming,
        letters: Mapping[str, Letter],
        said: Said | None = None,
    ) -> Drive:
        assert incoming.claim is not None
        incoming.minutes.run = key = account.name
        purse = Purse(self.database, account, daily(self.settings, self.name, tenant), self.name)
        return Drive(
            incoming.by,
            purse,
            self.directory,
            self.toolbox,
            self.policy,
            self.store,
            self.reviews,
            incoming.say,
            Outbox(self.database, self.name, incoming.claim, incoming.minutes),
            letters,
            incoming.claim,
            key,
            incoming.origin.of(key),
            said,
            self.contradictions,
            incoming.minutes,
        )


def run_id(task_id: str) -> str:
    """The run of a task: derived, so that whoever takes the task up finds it."""
    return hashlib.sha256(task_id.encode()).hexdigest()[:12]


def _request(incoming: Incoming) -> str:
    """The ticket's text. Raises InvalidRequest."""
    if not incoming.text:
        raise InvalidRequest("the ticket is empty: say in a text part what you need")
    if len(incoming.text) > MAX_REQUEST:
        raise InvalidRequest(
            f"the ticket has {len(incoming.text)} characters; at most {MAX_REQUEST} are read"
        )
    return incoming.text


async def _usage(drive: Drive) -> dict[str, int]:
    used = await drive.purse.used()
    return {"tokens": used.tokens, "micros": used.micros}


def _ended(run: dict[str, Any]) -> Outcome:
    """What an ended run came to, as often as somebody asks. Raises DeadlineExceeded for one whose time ran out."""
    if run["state"] == "failed":
        raise DeadlineExceeded("the run ended without an answer: its time was up before it was done")
    summary = run["report"]
    return Outcome(text=summary["reply"], data=summary, name="report", metadata=_notes(summary))


def _notes(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What a caller's machine reads without the report. An empty `degraded` is a statement too."""
    return {key: summary[key] for key in ("outcome", "usage", "degraded") if key in summary}


def _asked_in(summary: Mapping[str, Any]) -> Asks | None:
    """The question that was put to the client, as the report of a run that waits has it."""
    return Asks.model_validate(summary["asks"]) if summary.get("asks") else None
