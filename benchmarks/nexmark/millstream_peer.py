"""Runs queries on one embedded cluster of Millstream and prints a line of JSON for each.

    .venv/bin/python benchmarks/nexmark/millstream_peer.py DATA q0 q5 ... [--rounds 1] [--warm-ups 1]

Seconds are of the statement from its text to the end of the job: parsing, planning, deploying, running. The cluster is
up before, and each query has run ``--warm-ups`` times before it is measured; Flink's have run once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
from measuring import Usage
from tables import insert_statements, statements

from millstream.client.queries.runner import ClusterRunner
from millstream.client.session import Session, set_current_session
from millstream.core.config import load
from millstream.sql.session.results import Streaming, Submitted
from millstream.sql.session.sql_session import SqlSession

SETTINGS = {
    "parallelism.default": "2",
    "taskmanager.numberOfTaskSlots": "2",
    "execution.checkpointing.interval": "10 s",
}
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every slot would compile the program again


class Runner:
    """One session on one cluster."""

    def __init__(self, definitions: list[str]) -> None:
        configuration = load(None, os.environ).with_values(SETTINGS, "benchmark")
        self._session = Session(configuration)
        set_current_session(self._session)
        self._session.connection(2)
        self._sql = SqlSession(configuration, runner=ClusterRunner())
        for text in definitions:
            self._execute(text)
        self._roots = [psutil.Process()]

    def run(self, query: str) -> dict[str, Any]:
        """One of Nexmark's queries."""
        figures = self.measure(insert_statements(query))
        self._execute(f"DROP TABLE sink_{query}")
        return {"engine": "millstream", "query": query, **figures}

    def measure(self, texts: list[str]) -> dict[str, float]:
        """What it costs to execute statements, with the jobs that they start."""
        with Usage(self._roots) as usage:
            start = time.perf_counter()
            for text in texts:
                self._execute(text)
            seconds = time.perf_counter() - start
        return {"seconds": seconds, "cpu_s": usage.cpu_s, "peak_mb": usage.peak_mb}

    def rows(self, query: str) -> pa.Table:
        """All rows of a query that only inserts."""
        ((_, result),) = self._sql.execute_script(query, "benchmark")
        assert isinstance(result, Streaming)
        return pa.Table.from_batches([batch.records for batch in result.result])

    def close(self) -> None:
        self._session.close()

    def _execute(self, text: str) -> None:
        for _, result in self._sql.execute_script(text, "benchmark"):
            if isinstance(result, Submitted):
                result.job.wait()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("queries", nargs="+")
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--warm-ups", type=int, default=1)
    options = arguments.parse_args()
    runner = Runner(statements(options.data))
    try:
        for query in options.queries:
            try:
                for _ in range(options.warm_ups):
                    runner.run(query)
                for _ in range(options.rounds):
                    print(json.dumps(runner.run(query)), flush=True)
            except Exception as error:
                sys.stderr.write(f"{query}: {type(error).__name__}: {error}\n")
                print(json.dumps({"engine": "millstream", "query": query, "error": str(error)}), flush=True)
    finally:
        runner.close()


if __name__ == "__main__":
    main()
