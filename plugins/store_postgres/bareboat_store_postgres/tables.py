"""The tables and the one function, as SQL. ``{schema}`` and ``{channel}`` are names that the options have checked.

``counter`` is one row: who holds its lock writes next, so revisions follow commit order and no reader can miss one.
``progress`` (what was compacted) is a row apart, so that compaction does not hold up writers. ``writers`` has a row a server: its
last batch, for asking what became of it, and an epoch that shuts out calls of a connection that was given up.

``extend`` is a function because its steps must each see what the lock waited for, in one round trip.
"""

from __future__ import annotations

#: Raised when the tables change; an older driver refuses a newer schema.
SCHEMA_VERSION = 1

#: Answers of ``extend`` that are no shift.
NOT_HEAD, LOST_RACE, COMPACTED, WENT_BACK, SHUT_OUT = -1, -2, -3, -4, -5

CREATE = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE {schema}.meta (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE {schema}.counter (head bigint NOT NULL) WITH (fillfactor = 10);
CREATE TABLE {schema}.progress (compacted bigint NOT NULL) WITH (fillfactor = 10);
CREATE TABLE {schema}.writers (
    id text PRIMARY KEY, epoch bigint NOT NULL, batch bigint NOT NULL, base bigint NOT NULL, seen timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
CREATE TABLE {schema}.log (
    revision bigint PRIMARY KEY,
    key text COLLATE "C" NOT NULL,
    created bigint NOT NULL,
    previous bigint NOT NULL,
    deleted boolean NOT NULL,
    expires_at double precision NOT NULL,
    value bytea NOT NULL
);
INSERT INTO {schema}.counter VALUES (0);
INSERT INTO {schema}.progress VALUES (0);
INSERT INTO {schema}.meta VALUES ('schema', '{version}');

CREATE FUNCTION {schema}.extend(
    p_writer text, p_epoch bigint, p_batch bigint, p_known bigint, p_strict boolean, p_guards text[],
    p_keys text[], p_created bigint[], p_previous bigint[], p_deleted boolean[], p_expires double precision[], p_values bytea[]
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_base bigint; v_low bigint; v_shift bigint;
BEGIN
    SELECT c.head INTO v_base FROM {schema}.counter c FOR UPDATE;
    v_shift := v_base - p_known;
    IF v_shift < 0 THEN RETURN {went_back}; END IF;
    IF v_shift > 0 THEN
        IF p_strict THEN RETURN {not_head}; END IF;
        SELECT p.compacted INTO v_low FROM {schema}.progress p FOR SHARE;
        IF p_known < v_low THEN RETURN {compacted}; END IF;
        IF EXISTS (
            SELECT FROM {schema}.log l WHERE l.revision > p_known
            AND (l.key = ANY (p_keys) OR EXISTS (SELECT FROM unnest(p_guards) g WHERE starts_with(l.key, g)))
        ) THEN RETURN {lost_race}; END IF;
    END IF;
    UPDATE {schema}.writers w SET batch = p_batch, base = v_base WHERE w.id = p_writer AND w.epoch = p_epoch;
    IF NOT FOUND THEN RETURN {shut_out}; END IF;
    INSERT INTO {schema}.log (revision, key, created, previous, deleted, expires_at, value)
    SELECT v_base + t.n, t.k,
           CASE WHEN t.c > p_known THEN t.c + v_shift ELSE t.c END,
           CASE WHEN t.p > p_known THEN t.p + v_shift ELSE t.p END, t.d, t.e, t.v
    FROM unnest(p_keys, p_created, p_previous, p_deleted, p_expires, p_values) WITH ORDINALITY AS t (k, c, p, d, e, v, n);
    UPDATE {schema}.counter SET head = v_base + cardinality(p_keys);
    PERFORM pg_notify('{channel}', (v_base + cardinality(p_keys))::text);
    RETURN v_shift;
END $$;
"""

#: Objects of 2 to 8 KB stay in their row when compressed; not every PostgreSQL is built with it.
COMPRESS = "ALTER TABLE {schema}.log ALTER COLUMN value SET STORAGE MAIN, ALTER COLUMN value SET COMPRESSION lz4"

EXTEND = "SELECT {schema}.extend($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
#: Shut out what the writer's earlier connection may still have under way, and ask what its last batch was.
REGISTER = """
INSERT INTO {schema}.writers AS w (id, epoch, batch, base) VALUES ($1, 1, 0, 0)
ON CONFLICT (id) DO UPDATE SET epoch = w.epoch + 1, seen = now() RETURNING epoch, batch, base
"""
TIDY = "DELETE FROM {schema}.writers WHERE seen < now() - interval '7 days'"
LEAVE = "DELETE FROM {schema}.writers WHERE id = $1"

HEAD = "SELECT head FROM {schema}.counter"
COMPACTED_AT = "SELECT compacted FROM {schema}.progress"
NAMES = ("revision", "key", "created", "previous", "deleted", "expires_at", "value")
COLUMNS = "l.revision, l.key, l.created, l.previous, l.deleted, l.expires_at, l.value"
SINCE = """
SELECT p.compacted, {columns} FROM {schema}.progress p
LEFT JOIN LATERAL (SELECT * FROM {schema}.log WHERE revision > $1 ORDER BY revision LIMIT $2) l ON true ORDER BY l.revision
"""
LIVE = """
SELECT {columns} FROM {schema}.log l
JOIN (SELECT max(revision) AS revision FROM {schema}.log GROUP BY key) n USING (revision) WHERE NOT l.deleted ORDER BY l.revision
"""
AT = """
SELECT DISTINCT ON (l.key) {columns} FROM {schema}.log l
WHERE l.revision <= $2 AND l.key >= $1 AND l.key < $1 || chr(1114111) ORDER BY l.key, l.revision DESC
"""
FORGET_REPLACED = """
DELETE FROM {schema}.log WHERE revision IN (SELECT previous FROM {schema}.log WHERE revision > $1 AND revision <= $2 AND previous > 0)
"""
FORGET_DELETED = "DELETE FROM {schema}.log WHERE revision > $1 AND revision <= $2 AND deleted"
ADVANCE = "UPDATE {schema}.progress SET compacted = $1"
EMPTY = "TRUNCATE {schema}.log"
BEGIN_AT = "UPDATE {schema}.counter SET head = $1"
#: Rows that are not where they must be: every revision after the compacted one, and none after the head.
FAULTS = """
SELECT c.head - p.compacted - (SELECT count(*) FROM {schema}.log WHERE revision > p.compacted),
       (SELECT count(*) FROM {schema}.log WHERE revision > c.head),
       (SELECT count(*) FROM {schema}.log WHERE previous >= revision OR created > revision)
FROM {schema}.counter c, {schema}.progress p
"""
STATS = """
SELECT (SELECT count(*) FROM {schema}.log), pg_total_relation_size('{schema}.log'), (SELECT head FROM {schema}.counter),
       (SELECT compacted FROM {schema}.progress)
"""


class Statements:
    """All of it for one schema."""

    def __init__(self, schema: str) -> None:
        self.schema = schema
        self.channel = f"{schema}_head"
        answers = {"not_head": NOT_HEAD, "lost_race": LOST_RACE, "compacted": COMPACTED, "went_back": WENT_BACK, "shut_out": SHUT_OUT}
        self.create = CREATE.format(schema=schema, channel=self.channel, version=SCHEMA_VERSION, **answers)

    def __call__(self, statement: str) -> str:
        return statement.format(schema=self.schema, columns=COLUMNS)
