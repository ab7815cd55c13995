-- Three-valued AND, OR, NOT.
-- tables: mixed
-- duckdb: same
SELECT id, b AND t > 0 AS a, b OR t > 0 AS o, NOT b AS n, (b AND s > 0) OR i > 0 AS c FROM mixed
