"""What is kept, table by table. Times are seconds since the epoch by the database's clock."""

from __future__ import annotations

from dataclasses import dataclass

from meshwright.database.guards import POSTGRES, SQLITE


@dataclass(frozen=True, slots=True)
class Version:
    """One step of the schema. `oldest` is the oldest version whose build can work with the schema after this step.

    `sqlite` and `postgres` are what each engine wants in its own words, after the statements for both.
    """

    number: int
    title: str
    oldest: int
    statements: tuple[str, ...]
    sqlite: tuple[str, ...] = ()
    postgres: tuple[str, ...] = ()


#: As 0.1.0 made them; it had no version table, so they may already be there.
RUNS = (
    """CREATE TABLE IF NOT EXISTS runs (
        id TEXT PRIMARY KEY, task_id TEXT NOT NULL, caller TEXT NOT NULL, request TEXT NOT NULL, state TEXT NOT NULL,
        graph_version TEXT NOT NULL, started DOUBLE PRECISION NOT NULL, ended DOUBLE PRECISION, report TEXT)""",
    "CREATE INDEX IF NOT EXISTS runs_by_task ON runs (task_id)",
    "CREATE INDEX IF NOT EXISTS runs_by_start ON runs (started)",
    """CREATE TABLE IF NOT EXISTS reviews (
        id TEXT PRIMARY KEY, run TEXT NOT NULL REFERENCES runs (id), action TEXT NOT NULL, arguments TEXT NOT NULL,
        amount BIGINT, proposed_by TEXT NOT NULL, policy TEXT NOT NULL, why TEXT NOT NULL, created DOUBLE PRECISION NOT NULL,
        state TEXT NOT NULL, decided_by TEXT, reason TEXT, decided DOUBLE PRECISION)""",
    "CREATE INDEX IF NOT EXISTS reviews_by_run ON reviews (run)",
)

#: `work` is queued (has a place in the queue: `due`), running (has a holder and a lease), parked (waits for a message) or ended.
#: `body` is the task as it stood at `body_version`; what came after is in `events`. Messages up to `answered` are worked off. `updated` is the
#: time of its status, by the clock of the process that said it.
TASKS = (
    """CREATE TABLE tasks (
        id TEXT PRIMARY KEY, agent TEXT NOT NULL, owner TEXT NOT NULL, context_id TEXT NOT NULL, state TEXT NOT NULL,
        version BIGINT NOT NULL, body BYTES NOT NULL, body_version BIGINT NOT NULL,
        created DOUBLE PRECISION NOT NULL, updated DOUBLE PRECISION NOT NULL,
        asked BIGINT NOT NULL, answered BIGINT NOT NULL,
        work TEXT NOT NULL, due DOUBLE PRECISION NOT NULL, holder TEXT NOT NULL, token BIGINT NOT NULL,
        lease_until DOUBLE PRECISION NOT NULL, claims BIGINT NOT NULL, why TEXT NOT NULL, pushes BIGINT NOT NULL)""",
    "CREATE INDEX tasks_queued ON tasks (agent, due) WHERE work = 'queued'",
    "CREATE INDEX tasks_running ON tasks (agent, lease_until) WHERE work = 'running'",
    "CREATE INDEX tasks_ended ON tasks (updated) WHERE work = 'ended'",
    "CREATE INDEX tasks_listed ON tasks (agent, owner, updated DESC, id DESC)",
    """CREATE TABLE events (
        task_id TEXT NOT NULL, version BIGINT NOT NULL, turn BIGINT NOT NULL, kind TEXT NOT NULL, body BYTES NOT NULL,
        PRIMARY KEY (task_id, version))""",
)

#: The inbox dedupes by (agent, owner, message_id, about): the same message twice is one row, and one piece of work.
MESSAGES = (
    """CREATE TABLE inbox (
        agent TEXT NOT NULL, owner TEXT NOT NULL, message_id TEXT NOT NULL, about TEXT NOT NULL, digest BYTES NOT NULL,
        task_id TEXT NOT NULL, turn BIGINT NOT NULL, body BYTES NOT NULL, headers TEXT NOT NULL,
        until DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (agent, owner, message_id, about))""",
    "CREATE UNIQUE INDEX inbox_by_task ON inbox (task_id, turn)",
    """CREATE TABLE outbox (
        id TEXT PRIMARY KEY, agent TEXT NOT NULL, task_id TEXT NOT NULL, kind TEXT NOT NULL, address TEXT NOT NULL,
        body TEXT NOT NULL, state TEXT NOT NULL, remote TEXT NOT NULL, answer TEXT NOT NULL, attempts BIGINT NOT NULL,
        due DOUBLE PRECISION NOT NULL, created DOUBLE PRECISION NOT NULL, why TEXT NOT NULL)""",
    "CREATE INDEX outbox_by_task ON outbox (task_id)",
    "CREATE INDEX outbox_due ON outbox (agent, kind, due) WHERE state = 'open'",
    "CREATE TABLE push_configs (task_id TEXT NOT NULL, id TEXT NOT NULL, body BYTES NOT NULL, PRIMARY KEY (task_id, id))",
)

CHECKPOINTS = (
    """CREATE TABLE run_checkpoints (
        thread TEXT NOT NULL, place TEXT NOT NULL, id TEXT NOT NULL, parent TEXT NOT NULL, body TEXT NOT NULL,
        notes TEXT NOT NULL, PRIMARY KEY (thread, place, id))""",
    """CREATE TABLE run_writes (
        thread TEXT NOT NULL, place TEXT NOT NULL, checkpoint TEXT NOT NULL, task TEXT NOT NULL, number BIGINT NOT NULL,
        path TEXT NOT NULL, channel TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (thread, place, checkpoint, task, number))""",
)

#: A limit is NULL where there is none; `day` is empty for what does not begin anew each day. A hold has one row per account.
BUDGETS = (
    """CREATE TABLE budget_accounts (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, day TEXT NOT NULL,
        token_limit BIGINT, tokens BIGINT NOT NULL, tokens_held BIGINT NOT NULL,
        micro_limit BIGINT, micros BIGINT NOT NULL, micros_held BIGINT NOT NULL,
        doubts BIGINT NOT NULL, updated DOUBLE PRECISION NOT NULL,
        CHECK (tokens >= 0 AND tokens_held >= 0 AND tokens + tokens_held <= token_limit),
        CHECK (micros >= 0 AND micros_held >= 0 AND micros + micros_held <= micro_limit))""",
    """CREATE TABLE budget_holds (
        id TEXT NOT NULL, account TEXT NOT NULL, tokens BIGINT NOT NULL, micros BIGINT NOT NULL, holder TEXT NOT NULL,
        state TEXT NOT NULL, until DOUBLE PRECISION NOT NULL, PRIMARY KEY (id, account))""",
    "CREATE INDEX budget_holds_overdue ON budget_holds (account, until) WHERE state = 'held'",
)

#: The breakers that are not closed, as the replicas of an agent share them. `opening` names one time that it opened; `until` is when the
#: next may probe, and so also when the right of the `holder` who is probing runs out.
BREAKERS = (
    """CREATE TABLE breakers (
        agent TEXT NOT NULL, kind TEXT NOT NULL, address TEXT NOT NULL, opening TEXT NOT NULL, state TEXT NOT NULL,
        holder TEXT NOT NULL, since DOUBLE PRECISION NOT NULL, until DOUBLE PRECISION NOT NULL, failures TEXT NOT NULL,
        PRIMARY KEY (agent, kind, address))""",
)

#: The audit log. `hash` is over all else in the row, and `prev` is the hash of the row before; the head is the last row's. INTEGER, because in
#: SQLite only that makes `seq` the row's own number, beside which there is no other to be reached by.
AUDIT = (
    """CREATE TABLE audit_log (
        seq INTEGER PRIMARY KEY, at DOUBLE PRECISION NOT NULL, actor TEXT NOT NULL, kind TEXT NOT NULL, run TEXT NOT NULL,
        action TEXT NOT NULL, once TEXT NOT NULL, payload TEXT NOT NULL, prev BYTES NOT NULL, hash BYTES NOT NULL)""",
    "CREATE UNIQUE INDEX audit_once ON audit_log (once) WHERE once <> ''",
    "CREATE INDEX audit_by_run ON audit_log (run) WHERE run <> ''",
    "CREATE TABLE audit_head (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, hash BYTES NOT NULL)",
)

#: What a review came to have besides what 0.1.0 kept; an older build can go on with the defaults. Until `due` it waits, then it is
#: escalated; `edited` and `became` are the arguments and the key that an edit made of it. A person has one vote, by what the name looks like.
REVIEWS = (
    "ALTER TABLE reviews ADD COLUMN hash TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE reviews ADD COLUMN details TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE reviews ADD COLUMN source TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE reviews ADD COLUMN risk TEXT NOT NULL DEFAULT 'medium'",
    "ALTER TABLE reviews ADD COLUMN needed BIGINT NOT NULL DEFAULT 1",
    "ALTER TABLE reviews ADD COLUMN due DOUBLE PRECISION",
    "ALTER TABLE reviews ADD COLUMN expires DOUBLE PRECISION",
    "ALTER TABLE reviews ADD COLUMN escalated BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE reviews ADD COLUMN claimed_by TEXT",
    "ALTER TABLE reviews ADD COLUMN claimed_until DOUBLE PRECISION",
    "ALTER TABLE reviews ADD COLUMN version BIGINT NOT NULL DEFAULT 1",
    "ALTER TABLE reviews ADD COLUMN edited TEXT",
    "ALTER TABLE reviews ADD COLUMN became TEXT NOT NULL DEFAULT ''",
    "CREATE INDEX reviews_due ON reviews (due) WHERE state = 'open' AND escalated = 0",
    "CREATE INDEX reviews_expire ON reviews (expires) WHERE state = 'open'",
    "CREATE INDEX reviews_became ON reviews (became) WHERE became <> ''",
    """CREATE TABLE review_votes (
        review TEXT NOT NULL REFERENCES reviews (id), person TEXT NOT NULL, name TEXT NOT NULL, decision TEXT NOT NULL,
        reason TEXT NOT NULL, hash TEXT NOT NULL, at DOUBLE PRECISION NOT NULL, PRIMARY KEY (review, person))""",
)

#: What a task that waits for an answer was told so far, so that it goes on from there: see `meshwright.notebook`.
NOTEBOOKS = (
    "CREATE TABLE notebooks (task_id TEXT PRIMARY KEY, body TEXT NOT NULL, updated DOUBLE PRECISION NOT NULL)",
)

#: Every decision, as its JSON; the other columns are for finding it. `digest` is the SHA-256 of the body. One that a peer made and told us of has
#: `heard` 1: the peer has the row itself.
DECISIONS = (
    """CREATE TABLE decisions (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, agent TEXT NOT NULL, at DOUBLE PRECISION NOT NULL, correlation TEXT NOT NULL,
        run TEXT NOT NULL, task_id TEXT NOT NULL, action TEXT NOT NULL, outcome TEXT NOT NULL, heard BIGINT NOT NULL,
        digest TEXT NOT NULL, body TEXT NOT NULL)""",
    "CREATE INDEX decisions_by_correlation ON decisions (correlation)",
    "CREATE INDEX decisions_by_run ON decisions (run) WHERE run <> ''",
    "CREATE INDEX decisions_by_action ON decisions (action) WHERE action <> ''",
    "CREATE INDEX decisions_by_time ON decisions (at)",
)

#: The id and the trace of the whole request, by which others know a run; and the ways in which runs are looked for.
RUNS_FOUND = (
    "ALTER TABLE runs ADD COLUMN correlation TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE runs ADD COLUMN trace TEXT NOT NULL DEFAULT ''",
    "CREATE INDEX runs_listed ON runs (started DESC, id DESC)",
    "CREATE INDEX runs_by_state ON runs (state, started DESC, id DESC)",
    "CREATE INDEX runs_by_correlation ON runs (correlation) WHERE correlation <> ''",
)

VERSIONS = (
    Version(1, "runs, reviews, tasks, messages, checkpoints", 1, (*RUNS, *TASKS, *MESSAGES, *CHECKPOINTS)),
    Version(2, "budgets", 1, (*BUDGETS,)),
    Version(3, "breakers", 1, (*BREAKERS,)),
    Version(4, "audit", 1, AUDIT, SQLITE, POSTGRES),
    Version(5, "reviews: claims, votes, edits, times", 1, (*REVIEWS,)),
    Version(6, "notebooks", 1, (*NOTEBOOKS,)),
    Version(7, "decisions", 1, (*DECISIONS,)),
    Version(8, "runs: their request's id and trace", 1, (*RUNS_FOUND,)),
)
