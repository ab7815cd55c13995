"""Answers a query once, over the same files, on one thread of DuckDB: the limit of what a machine's core can do.

    .venv/bin/python benchmarks/nexmark/peers/duckdb_nexmark.py DATA q0 q1 ...

The whole file is there, so nothing is incremental: no state is kept, and no row is told before it is final. Rows of the
answer are counted and not kept; each column is read by a checksum, or DuckDB would leave it out.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import duckdb
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from measuring import Usage

HERE = Path(__file__).resolve().parents[1]
TYPES = {
    "bid": "auction: 'BIGINT', bidder: 'BIGINT', price: 'BIGINT', channel: 'VARCHAR', url: 'VARCHAR', "
    "dateTime: 'TIMESTAMP', extra: 'VARCHAR'",
    "auction": "id: 'BIGINT', itemName: 'VARCHAR', description: 'VARCHAR', initialBid: 'BIGINT', reserve: 'BIGINT', "
    "dateTime: 'TIMESTAMP', expires: 'TIMESTAMP', seller: 'BIGINT', category: 'BIGINT', extra: 'VARCHAR'",
    "person": "id: 'BIGINT', name: 'VARCHAR', emailAddress: 'VARCHAR', creditCard: 'VARCHAR', city: 'VARCHAR', "
    "state: 'VARCHAR', dateTime: 'TIMESTAMP', extra: 'VARCHAR'",
}


def connect(directory: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    for name, types in TYPES.items():
        connection.execute(
            f"CREATE VIEW {name} AS FROM read_json('{directory / name}/*.json', format = 'newline_delimited', "
            f"columns = {{{types}}}, timestampformat = '%Y-%m-%d %H:%M:%S.%g')"
        )
    return connection


def run(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, object]:
    text = (HERE / "duckdb" / f"{query}.sql").read_text()
    with Usage([psutil.Process()]) as usage:
        start = time.perf_counter()
        columns = connection.execute(f"DESCRIBE {text}").fetchall()
        sums = ", ".join(f'bit_xor(hash(t."{column[0]}"))' for column in columns)
        rows = connection.execute(f"SELECT count(*), {sums} FROM ({text}) AS t").fetchall()[0][0]
        seconds = time.perf_counter() - start
    return {
        "engine": "duckdb",
        "query": query,
        "seconds": seconds,
        "cpu_s": usage.cpu_s,
        "peak_mb": usage.peak_mb,
        "rows": rows,
    }


def main() -> None:
    connection = connect(Path(sys.argv[1]))
    for query in sys.argv[2:]:
        print(json.dumps(run(connection, query)), flush=True)


if __name__ == "__main__":
    main()
