"""The job of a race, the same text for every system: numbered rows at a fixed rate, and running figures of each key.

``seen`` numbers the rows of a key: whatever state was lost, and whatever was counted or written twice, shows in it.
"""

from __future__ import annotations

from typing import Final

PARALLELISM: Final = 2
ROWS_PER_SECOND: Final = 200
ROWS_MAX: Final = 600_000
KEYS: Final = 100
CHECKPOINT_INTERVAL_S: Final = 1.0

NUMBERS: Final = f"""CREATE TABLE numbers (n BIGINT, arrived AS PROCTIME()) WITH (
  'connector' = 'datagen', 'rows-per-second' = '{ROWS_PER_SECOND}',
  'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '{ROWS_MAX - 1}')"""
RUNNING: Final = f"""SELECT n, MOD(n, {KEYS}) AS k, COUNT(*) OVER w AS seen, SUM(n) OVER w AS total FROM numbers
  WINDOW w AS (PARTITION BY MOD(n, {KEYS}) ORDER BY arrived ROWS UNBOUNDED PRECEDING)"""
