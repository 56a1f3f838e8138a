"""The tables of the ledger, and how older ledgers get them.

Rule 1: a migration that was released is never edited; a change is a new migration at the end.
Rule 2: `part` of a counter is 0 for a plain one; of a histogram it is the bucket's place, or SUM_PART for its sum.
"""

from ..task.model import DURATION_BUCKETS

APPLICATION_ID = 0x46544558
"""`FTEX`: distinguishes ledgers from other SQLite files (SQLite, PRAGMA application_id)."""

SUM_PART = len(DURATION_BUCKETS) + 1

MIGRATIONS = (
    """
    CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE pair (
        id INTEGER PRIMARY KEY, source TEXT NOT NULL, requesting TEXT NOT NULL,
        slot INTEGER NOT NULL, -- the pair whose series it shows in: its own, or that of `other`, `other`
        UNIQUE (source, requesting)
    );
    CREATE TABLE task (
        id TEXT PRIMARY KEY, version TEXT NOT NULL, updated INTEGER NOT NULL, highest INTEGER NOT NULL,
        status TEXT NOT NULL, pair INTEGER NOT NULL, authored INTEGER, seen INTEGER NOT NULL,
        missed INTEGER NOT NULL, kinds INTEGER NOT NULL, gone TEXT, gone_at INTEGER NOT NULL, open INTEGER NOT NULL
    );
    CREATE INDEX task_authored ON task (pair, status, authored, seen) WHERE open = 1;
    CREATE INDEX task_updated ON task (pair, status, updated) WHERE open = 1;
    CREATE INDEX task_due ON task (coalesce(authored, seen)) WHERE open = 1 AND missed = 0;
    CREATE INDEX task_stamp ON task (status, updated) WHERE gone IS NULL;
    CREATE INDEX task_gone ON task (gone_at) WHERE gone IS NOT NULL;
    CREATE TABLE tally (pair INTEGER, status TEXT, n INTEGER NOT NULL, PRIMARY KEY (pair, status));
    CREATE TABLE latest (pair INTEGER, status TEXT, at INTEGER NOT NULL, PRIMARY KEY (pair, status));
    CREATE TABLE anomalous (kind TEXT PRIMARY KEY, n INTEGER NOT NULL);
    CREATE TABLE counter (
        fact TEXT, pair INTEGER, label TEXT, part INTEGER, counted REAL NOT NULL, shown REAL NOT NULL,
        born INTEGER NOT NULL, -- the number of the first picture of this process that shows it
        PRIMARY KEY (fact, pair, label, part)
    );
    """,
    # Pairs past the cap are not kept any more: rows and counters always had the number of the slot.
    """
    INSERT INTO state (name, value) SELECT 'pairs_capped', CAST(count(*) AS TEXT) FROM pair WHERE slot <> id;
    CREATE TABLE own_pair (
        id INTEGER PRIMARY KEY, source TEXT NOT NULL, requesting TEXT NOT NULL, UNIQUE (source, requesting)
    );
    INSERT INTO own_pair (id, source, requesting) SELECT id, source, requesting FROM pair WHERE slot = id;
    DROP TABLE pair;
    ALTER TABLE own_pair RENAME TO pair;
    """,
    """
    CREATE TABLE organization (
        reference TEXT PRIMARY KEY,
        name TEXT, -- NULL where the server refuses it, or has none
        place INTEGER NOT NULL UNIQUE -- larger than that of every one read before
    );
    """,
    # The rows of Tasks become a list that only grows; their indexes are made when there is a complete walk.
    """
    DROP INDEX task_authored;
    DROP INDEX task_updated;
    DROP INDEX task_due;
    DROP INDEX task_stamp;
    DROP INDEX task_gone;
    ALTER TABLE task RENAME TO task_before;
    CREATE TABLE task (
        place INTEGER PRIMARY KEY, -- in the order of first sight, so that a baseline only appends
        id TEXT NOT NULL, version TEXT NOT NULL, updated INTEGER NOT NULL, highest INTEGER NOT NULL,
        status TEXT NOT NULL, pair INTEGER NOT NULL, authored INTEGER, seen INTEGER NOT NULL,
        missed INTEGER NOT NULL, kinds INTEGER NOT NULL, gone TEXT, gone_at INTEGER NOT NULL, open INTEGER NOT NULL
    );
    INSERT INTO task (id, version, updated, highest, status, pair, authored, seen, missed, kinds, gone, gone_at, open)
    SELECT id, version, updated, highest, status, pair, authored, seen, missed, kinds, gone, gone_at, open
    FROM task_before;
    DROP TABLE task_before;
    """,
)

INDEXES = (
    "CREATE UNIQUE INDEX task_id ON task (id)",
    "CREATE INDEX task_authored ON task (pair, status, authored, seen) WHERE open = 1",
    "CREATE INDEX task_updated ON task (pair, status, updated) WHERE open = 1",
    "CREATE INDEX task_due ON task (coalesce(authored, seen)) WHERE open = 1 AND missed = 0",
    "CREATE INDEX task_stamp ON task (status, updated) WHERE gone IS NULL",
    "CREATE INDEX task_gone ON task (gone_at) WHERE gone IS NOT NULL",
)
"""Made together, at the end of the first complete walk (`tasks`): until then only `task_hash` is needed."""

TEMPORARY = """
    CREATE TEMP TABLE seen_task (id TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TEMP TABLE missing_task (place INTEGER PRIMARY KEY, id TEXT NOT NULL);
    CREATE TEMP TABLE task_hash (hash INTEGER, place INTEGER, PRIMARY KEY (hash, place)) WITHOUT ROWID;
"""
"""What a comparison has seen and misses, and where a baseline finds its Tasks: filled again by the next process."""
