-- MD5, SHA256 and hexadecimal.
-- tables: people
-- duckdb: same
SELECT id, MD5(name) AS m, SHA256(name) AS s FROM people
