"""The queries that fit Spark's Structured Streaming, over the same files; prints a line of JSON for each.

    python spark_nexmark.py DATA q0 q1 ...   (with an environment that has pyspark; it needs a JVM)

Two cores, one JVM for all queries, each run once before it is measured; a sink that keeps nothing, a checkpoint
directory, and the trigger that reads what is there and ends. Spark takes both files of a table in one micro-batch
then, which is the best case for it. Six queries are the text that Millstream and Flink run. Not here: what streaming
Spark refuses (COUNT DISTINCT, ROW_NUMBER, joins with an aggregate that updates).
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import psutil
from pyspark.sql import SparkSession

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from measuring import Usage
from tables import COLUMNS, query_text

UPDATES: Final = ("q17",)
SAME_TEXT: Final = ("q0", "q1", "q2", "q3", "q17", "q20")
SESSIONS: Final = """SELECT bidder, COUNT(*) AS bid_count, session.start AS starttime, session.end AS endtime
FROM (SELECT bidder, session_window(`dateTime`, '10 seconds') AS session FROM bid) GROUP BY bidder, session"""
"""Query 11 in Spark's words."""
QUERIES: Final = {query: query_text(query) for query in SAME_TEXT} | {"q11": SESSIONS}


def session() -> SparkSession:
    builder = SparkSession.builder.master("local[2]").config("spark.sql.shuffle.partitions", "2")
    builder = builder.config("spark.driver.memory", "6g").config("spark.sql.session.timeZone", "UTC")
    return builder.config("spark.ui.enabled", "false").getOrCreate()


def run(spark: SparkSession, query: str) -> None:
    with tempfile.TemporaryDirectory() as checkpoints:
        writer = spark.sql(QUERIES[query]).writeStream.format("noop").option("checkpointLocation", checkpoints)
        writer.outputMode("update" if query in UPDATES else "append").trigger(
            availableNow=True
        ).start().awaitTermination()


def main() -> None:
    spark = session()
    for name, columns in COLUMNS.items():
        schema = columns.replace("TIMESTAMP(3)", "TIMESTAMP")
        reader = spark.readStream.schema(schema).option("timestampFormat", "yyyy-MM-dd HH:mm:ss.SSS")
        table = reader.json(f"{sys.argv[1]}/{name}")
        table.withWatermark("dateTime", "4 seconds").createOrReplaceTempView(name)
    for query in (query for query in sys.argv[2:] if query in QUERIES):
        run(spark, query)
        with Usage([psutil.Process()]) as usage:
            start = time.perf_counter()
            run(spark, query)
            seconds = time.perf_counter() - start
        figures = {"seconds": seconds, "cpu_s": usage.cpu_s, "peak_mb": usage.peak_mb}
        print(json.dumps({"engine": "spark", "query": query, **figures}), flush=True)


if __name__ == "__main__":
    main()
