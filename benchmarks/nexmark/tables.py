"""The statements that Millstream and Flink both run: the same text, so that neither is told more than the other."""

from __future__ import annotations

from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent

COLUMNS: Final = {
    "bid": "auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, `dateTime` TIMESTAMP(3), "
    "extra STRING",
    "auction": "id BIGINT, itemName STRING, description STRING, initialBid BIGINT, reserve BIGINT, "
    "`dateTime` TIMESTAMP(3), expires TIMESTAMP(3), seller BIGINT, category BIGINT, extra STRING",
    "person": "id BIGINT, name STRING, emailAddress STRING, creditCard STRING, city STRING, state STRING, "
    "`dateTime` TIMESTAMP(3), extra STRING",
}
WATERMARK: Final = "WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND"

TARGET: Final = ("q0", "q1", "q2", "q3", "q4", "q5", "q7", "q8", "q9", "q11", "q15", "q16", "q17", "q18", "q19", "q20")
"""What the goals for Flink speak of."""
EVERY: Final = tuple(f"q{number}" for number in range(23))

KNOWN_FLINK_S: Final = {
    "q0": 6.4, "q1": 6.7, "q2": 5.7, "q3": 3.6, "q4": 12.8, "q5": 10.7, "q7": 18.7, "q8": 4.0, "q9": 22.8, "q11": 14.2,
    "q15": 12.7, "q17": 5.8, "q18": 8.3, "q19": 13.4, "q20": 12.5,
}  # fmt: skip
"""Seconds of Flink 2.3 for 2 million events on the machine of the README, from an earlier run."""


def query_text(query: str) -> str:
    return (HERE / "queries" / f"{query}.sql").read_text()


def statements(directory: Path) -> list[str]:
    """Tables over the files in ``directory``, and the views that queries of processing time use."""
    tables = [
        f"CREATE TABLE {name} ({columns}, {WATERMARK}) WITH "
        f"('connector' = 'filesystem', 'path' = '{directory / name}', 'format' = 'json')"
        for name, columns in COLUMNS.items()
    ]
    return [
        *tables,
        f"CREATE TABLE bid_proctime ({COLUMNS['bid']}, p_time AS PROCTIME()) WITH "
        f"('connector' = 'filesystem', 'path' = '{directory / 'bid'}', 'format' = 'json')",
    ]


def insert_statements(query: str) -> list[str]:
    """The query into a sink that keeps nothing."""
    return [f"CREATE TABLE sink_{query} WITH ('connector' = 'blackhole') AS\n{query_text(query)}"]
