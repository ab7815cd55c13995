"""Runs queries on Flink's local mini-cluster, with PyFlink, and prints a line of JSON for each.

Run by ``run.py`` with the Python of an environment that has apache-flink: ``python flink_nexmark.py SPEC``, where SPEC
is a JSON file of ``{"statements": [...], "queries": {"q0": ["CREATE TABLE sink ... AS ..."], ...}, "rounds": 1}``.
Settings are those of Nexmark's own configuration for Flink: object reuse, mini-batches of 50,000 rows or 2 s, two-phase
aggregation; parallelism 2 and checkpoints every 10 s as for the others. One JVM runs all, and each query once before it
is measured, as Millstream does.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import psutil
from pyflink.table import EnvironmentSettings, TableEnvironment

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from measuring import Usage

SETTINGS = {
    "parallelism.default": "2",
    "taskmanager.numberOfTaskSlots": "2",
    "taskmanager.memory.process.size": "6g",
    "execution.checkpointing.interval": "10 s",
    "execution.checkpointing.mode": "EXACTLY_ONCE",
    "execution.checkpointing.storage": "filesystem",
    "execution.attached": "true",
    "pipeline.object-reuse": "true",
    "table.exec.mini-batch.enabled": "true",
    "table.exec.mini-batch.allow-latency": "2 s",
    "table.exec.mini-batch.size": "50000",
    "table.optimizer.distinct-agg.split.enabled": "true",
    "table.optimizer.agg-phase-strategy": "TWO_PHASE",
    "table.dml-sync": "true",
    "table.local-time-zone": "UTC",
}


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text())
    SETTINGS["execution.checkpointing.dir"] = Path(sys.argv[1]).with_name("flink-checkpoints").resolve().as_uri()
    settings = EnvironmentSettings.in_streaming_mode()
    tables = TableEnvironment.create(settings)
    for key, value in SETTINGS.items():
        tables.get_config().set(key, value)
    for text in spec["statements"]:
        tables.execute_sql(text)
    roots = [psutil.Process()]
    for query, statements in spec["queries"].items():
        try:
            for number in range(1 + spec["rounds"]):
                with Usage(roots) as usage:
                    start = time.perf_counter()
                    for text in statements:
                        tables.execute_sql(text).wait()
                    seconds = time.perf_counter() - start
                tables.execute_sql(f"DROP TABLE sink_{query}")
                if number:
                    figures = {"seconds": seconds, "cpu_s": usage.cpu_s, "peak_mb": usage.peak_mb}
                    print(json.dumps({"engine": "flink", "query": query, **figures}), flush=True)
        except Exception as error:
            print(json.dumps({"engine": "flink", "query": query, "error": str(error)[:2000]}), flush=True)


if __name__ == "__main__":
    main()
