"""Every statement the running ledger uses, by name. Portable SQL with named parameters.

Times are Instants; `open`, `missed` are 0 or 1; `pair` is the id of a pair that has a slot.
"""

KNOWN = """
    SELECT id, version, updated, highest, status, pair, authored, seen, missed, kinds, gone, gone_at
    FROM task WHERE id IN (SELECT value FROM json_each(:ids))
"""
WRITE = """
    INSERT INTO task (id, version, updated, highest, status, pair, authored, seen, missed, kinds, gone, gone_at, open)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
        version = excluded.version, updated = excluded.updated, highest = excluded.highest, status = excluded.status,
        pair = excluded.pair, authored = excluded.authored, seen = excluded.seen, missed = excluded.missed,
        kinds = excluded.kinds, gone = excluded.gone, gone_at = excluded.gone_at, open = excluded.open
"""

INDEXED = "SELECT 1 FROM sqlite_master WHERE name = 'task_id'"
KNOWN_MET = """
    SELECT id, version, updated, highest, status, pair, authored, seen, missed, kinds, gone, gone_at, task.place
    FROM met CROSS JOIN task
    WHERE met.hash IN (SELECT value FROM json_each(:hashes))
        AND task.place = met.place AND task.id IN (SELECT value FROM json_each(:ids))
"""
"""CROSS keeps SQLite to this order of the tables: else all rows would be read to find a few."""
LAST_PLACE = "SELECT coalesce(max(place), 0) FROM task"
APPEND = """
    INSERT INTO task
        (place, id, version, updated, highest, status, pair, authored, seen, missed, kinds, gone, gone_at, open)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
CHANGE = """
    UPDATE task SET id = ?, version = ?, updated = ?, highest = ?, status = ?, pair = ?, authored = ?, seen = ?,
        missed = ?, kinds = ?, gone = ?, gone_at = ?, open = ?
    WHERE place = ?
"""
EVERY_ID = "SELECT id, place FROM task"
MEET = "INSERT INTO met (hash, place) VALUES (?, ?)"
CLEAR_MET = "DELETE FROM met"

FORGET = "DELETE FROM task WHERE gone IS NOT NULL AND gone_at < :before"

TALLY = """
    INSERT INTO tally (pair, status, n) VALUES (:pair, :status, :n)
    ON CONFLICT (pair, status) DO UPDATE SET n = n + excluded.n
"""
ANOMALOUS = """
    INSERT INTO anomalous (kind, n) VALUES (:kind, :n) ON CONFLICT (kind) DO UPDATE SET n = n + excluded.n
"""
LATEST = """
    INSERT INTO latest (pair, status, at) VALUES (:pair, :status, :at)
    ON CONFLICT (pair, status) DO UPDATE SET at = max(at, excluded.at)
"""
COUNT = """
    INSERT INTO counter (fact, pair, label, part, counted, shown, born)
    VALUES (:fact, :pair, :label, :part, :n, 0, :born)
    ON CONFLICT (fact, pair, label, part) DO UPDATE SET counted = counted + excluded.counted
"""
SHOW = "UPDATE counter SET shown = counted WHERE shown <> counted AND born <= :upto"
HIDDEN = "SELECT 1 FROM counter WHERE shown <> counted AND born <= :upto LIMIT 1"
REBORN = "UPDATE counter SET born = 0 WHERE born <> 0"

ADD_PAIR = "INSERT INTO pair (id, source, requesting) VALUES (:id, :source, :requesting)"
PAIRS = "SELECT id, source, requesting FROM pair"

LEARN = """
    INSERT INTO organization (reference, name, place)
    VALUES (:reference, :name, (SELECT coalesce(max(place), 0) + 1 FROM organization))
    ON CONFLICT (reference) DO UPDATE SET name = excluded.name, place = excluded.place
"""
ORGANIZATIONS = "SELECT reference, name FROM organization ORDER BY place"

SET_STATE = """
    INSERT INTO state (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
DROP_STATE = "DELETE FROM state WHERE name = :name"
STATES = "SELECT name, value FROM state"

COUNTERS = "SELECT fact, pair, label, part, shown FROM counter ORDER BY fact, pair, label, part"
TALLIES = "SELECT pair, status, n FROM tally"
"""A status once met stays, at 0 where there is none: zero is known, and a series that ends would read as unknown."""
LATESTS = "SELECT pair, status, at FROM latest"
ANOMALIES = "SELECT kind, n FROM anomalous WHERE n <> 0"

OLDEST_AUTHORED = """
    SELECT authored FROM task WHERE open = 1 AND pair = :pair AND status = :status AND authored IS NOT NULL
    ORDER BY authored LIMIT 1
"""
OLDEST_UPDATED = """
    SELECT updated FROM task WHERE open = 1 AND pair = :pair AND status = :status ORDER BY updated LIMIT 1
"""
STALLED = """
    SELECT count(*) FROM task
    WHERE open = 1 AND pair = :pair AND status = :status AND updated >= :low AND updated < :high
"""
NEXT_STALLED = """
    SELECT min(updated) FROM task WHERE open = 1 AND pair = :pair AND status = :status AND updated >= :low
"""
OVERDUE = """
    SELECT
        (SELECT count(*) FROM task
            WHERE open = 1 AND pair = :pair AND status = :status AND authored >= :low AND authored < :high) +
        (SELECT count(*) FROM task WHERE open = 1 AND pair = :pair AND status = :status
            AND authored IS NULL AND seen >= :low AND seen < :high)
"""
NEXT_DUE = """
    SELECT min(began) FROM (
        SELECT min(authored) AS began FROM task
            WHERE open = 1 AND pair = :pair AND status = :status AND authored >= :low
        UNION ALL SELECT min(seen) FROM task
            WHERE open = 1 AND pair = :pair AND status = :status AND authored IS NULL AND seen >= :low)
"""
MISSED = """
    SELECT pair, count(*) FROM task WHERE open = 1 AND missed = 0 AND coalesce(authored, seen) < :cutoff GROUP BY +pair
"""
"""The plus keeps SQLite from reading every open Task in the order of `pair`: nearly always there is none to find."""
MARK_MISSED = "UPDATE task SET missed = 1 WHERE open = 1 AND missed = 0 AND coalesce(authored, seen) < :cutoff"

CLEAR_SIGHTED = "DELETE FROM sighted"
SIGHTED = "INSERT OR IGNORE INTO sighted (id) VALUES (?)"
ANY_SIGHTED = "SELECT 1 FROM sighted LIMIT 1"
CLEAR_MISSING = "DELETE FROM missing"
MISS_OPEN = """
    INSERT INTO missing (id) SELECT id FROM task WHERE open = 1 AND id NOT IN (SELECT id FROM sighted)
"""
MISS_BETWEEN = """
    INSERT INTO missing (id) SELECT id FROM task WHERE gone IS NULL AND status = :status
        AND updated >= :start AND updated < :end AND id NOT IN (SELECT id FROM sighted)
"""
MISSING = "SELECT place, id FROM missing WHERE place > :after ORDER BY place LIMIT :limit"
COUNT_BETWEEN = """
    SELECT count(*) FROM task WHERE gone IS NULL AND status = :status AND updated >= :start AND updated < :end
"""
STAMP_AT = """
    SELECT updated FROM task WHERE gone IS NULL AND status = :status AND updated >= :start AND updated < :end
    ORDER BY updated LIMIT 1 OFFSET :place
"""
