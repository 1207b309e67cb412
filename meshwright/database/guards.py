"""What keeps the audit log append-only: triggers, in each engine's own words.

They stop whoever works with the database as they should not: a bug, a tool, a role without the right to alter the table. Its owner can
take them away; that shows in the chain and in the checkpoints (`meshwright/audit/`), not here.
"""

from __future__ import annotations

DENIED = "the audit log is append-only"
BROKEN = "an audit entry must continue the log"

# `once <> ''` beside `once = …` is what lets both engines use the index, which is of names that are not empty.

#: REPLACE removes rows without a word to the DELETE triggers, so what could be replaced is refused before.
SQLITE = (
    "INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, zeroblob(32))",
    f"""CREATE TRIGGER audit_log_continues BEFORE INSERT ON audit_log
        WHEN NOT EXISTS (SELECT 1 FROM audit_head WHERE seq = NEW.seq - 1 AND hash = NEW.prev)
            OR length(NEW.hash) <> 32 OR (NEW.once <> '' AND EXISTS (SELECT 1 FROM audit_log WHERE once <> '' AND once = NEW.once))
        BEGIN SELECT RAISE(ABORT, '{BROKEN}'); END""",
    """CREATE TRIGGER audit_log_heads AFTER INSERT ON audit_log
        BEGIN UPDATE audit_head SET seq = NEW.seq, hash = NEW.hash; END""",
    f"""CREATE TRIGGER audit_head_follows BEFORE UPDATE ON audit_head
        WHEN NEW.id <> OLD.id OR NEW.seq <> OLD.seq + 1
            OR NOT EXISTS (SELECT 1 FROM audit_log WHERE seq = NEW.seq AND hash = NEW.hash)
        BEGIN SELECT RAISE(ABORT, '{DENIED}'); END""",
    *(
        f"""CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}
        BEGIN SELECT RAISE(ABORT, '{DENIED}'); END"""
        for table, verb in (
            ("audit_log", "UPDATE"),
            ("audit_log", "DELETE"),
            ("audit_head", "DELETE"),
            ("audit_head", "INSERT"),
        )
    ),
)

#: ALWAYS: not passed over by `session_replication_role`. The function that moves the head runs as its owner and looks for its tables
#: where they were made, so a role that may only insert needs no right to change the head, and cannot put another in its place.
POSTGRES = (
    "ALTER TABLE audit_log ALTER COLUMN seq TYPE BIGINT",
    "ALTER TABLE audit_head ALTER COLUMN seq TYPE BIGINT",
    "INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, decode(repeat('00', 32), 'hex'))",
    f"""CREATE FUNCTION audit_continue() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        DECLARE head audit_head;
        BEGIN
            SELECT * INTO head FROM audit_head FOR UPDATE;
            IF NEW.seq <> head.seq + 1 OR NEW.prev <> head.hash OR length(NEW.hash) <> 32
                OR (NEW.once <> '' AND EXISTS (SELECT 1 FROM audit_log WHERE once <> '' AND once = NEW.once)) THEN
                RAISE EXCEPTION '{BROKEN}';
            END IF;
            UPDATE audit_head SET seq = NEW.seq, hash = NEW.hash;
            RETURN NEW;
        END $$""",
    """DO $$ BEGIN EXECUTE format('ALTER FUNCTION audit_continue() SET search_path = %I, pg_temp', current_schema()); END $$""",
    f"""CREATE FUNCTION audit_deny() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'audit_head' AND pg_trigger_depth() > 1 THEN RETURN NULL; END IF;
            RAISE EXCEPTION '{DENIED}';
        END $$""",
    "CREATE TRIGGER audit_log_continues BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_continue()",
    *(
        f"CREATE TRIGGER {table}_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_deny()"
        for table in ("audit_log", "audit_head")
    ),
    *(
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}"
        for table, trigger in (
            ("audit_log", "audit_log_continues"),
            ("audit_log", "audit_log_stays"),
            ("audit_head", "audit_head_stays"),
        )
    ),
)
