-- ORDER BY on event time, with a limit.
-- tables: people
-- duckdb: same
SELECT name, ts FROM people ORDER BY ts LIMIT 12
