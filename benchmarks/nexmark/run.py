"""Nexmark on Millstream, Flink and DuckDB, side by side in one run, over the same files.

    .venv/bin/python benchmarks/nexmark/run.py [--events 2000000] [--rounds 3] [--queries q0,q5] [--flink once]
        [--peers bytewax,pathway,spark]

Rounds alternate between the engines; figures are medians. ``--flink``: ``once`` (measured once in the whole run, after
a run that warms it up), ``rounds``, ``known`` (the figures in ``tables.py``, and the report says so), or ``none``.
``--peers``: engines that run the queries that fit them, once, after all rounds. Each engine is installed from PyPI into
an environment of its own below ``data/``; Flink and Spark need a JVM. Results go to ``data/nexmark-results.json``,
Markdown tables to the terminal.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from report import peers_table, table
from tables import EVERY, KNOWN_FLINK_S, TARGET, insert_statements, statements

PEERS: Final = ("bytewax", "pathway", "spark")
HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
PACKAGES: Final = {
    "flink": ("apache-flink==2.3.*",),
    "bytewax": ("bytewax==0.21.*", "orjson"),
    "pathway": ("pathway==0.33.*",),
    "spark": ("pyspark==4.*",),
}
Figures = list[dict[str, Any]]


def prepare_data(work: Path, events: int) -> Path:
    directory = work / f"nexmark-{events}"
    if not directory.exists():
        command = [sys.executable, "-m", "millstream.connectors.nexmark", "--events", str(events), "--seed", "1"]
        subprocess.run([*command, "--out", str(directory), "--files", "2", "--bid-size", "64"], check=True)
    return directory


def python_with(engine: str, work: Path) -> Path:
    """Of an environment with ``engine``, made at the first call."""
    home = work / f"{engine}-venv"
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES[engine], "psutil"], check=True)
    return python


def figures_of(command: list[str], what: str) -> Figures:
    """Run an engine; its lines of JSON."""
    print(f"{what} ...", file=sys.stderr, flush=True)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PATHWAY_THREADS"] = "2"
    done = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode:
        print(f"{what} ended with exit code {done.returncode}", file=sys.stderr)
    for line in found:
        print(f"  {line}", file=sys.stderr)
    return found


def millstream(data: Path, queries: list[str]) -> Figures:
    return figures_of([sys.executable, str(HERE / "millstream_peer.py"), str(data), *queries], "Millstream")


def duckdb(data: Path, queries: list[str]) -> Figures:
    answered = [query for query in queries if (HERE / "duckdb" / f"{query}.sql").exists()]
    return figures_of([sys.executable, str(HERE / "peers/duckdb_nexmark.py"), str(data), *answered], "DuckDB")


def flink(work: Path, data: Path, queries: list[str]) -> Figures:
    path = work / "flink-queries.json"
    texts = {query: insert_statements(query) for query in queries}
    path.write_text(json.dumps({"statements": statements(data), "queries": texts, "rounds": 1}))
    return figures_of([str(python_with("flink", work)), str(HERE / "peers/flink_nexmark.py"), str(path)], "Flink")


def peer(engine: str, work: Path, data: Path, queries: list[str]) -> Figures:
    """``bytewax``, ``pathway`` or ``spark``: the queries that fit it."""
    command = [str(python_with(engine, work)), str(HERE / f"peers/{engine}_nexmark.py"), str(data), *queries]
    return figures_of(command, engine.capitalize())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--events", type=int, default=2_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--queries", default=",".join(TARGET), help=f"of {', '.join(EVERY)}")
    arguments.add_argument("--flink", choices=("once", "rounds", "known", "none"), default="once")
    arguments.add_argument("--peers", default="", help=f"of {', '.join(PEERS)}")
    arguments.add_argument("--work", type=Path, default=ROOT / "data", help="where data and environments live")
    options = arguments.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    data = prepare_data(options.work, options.events)
    queries = options.queries.split(",")
    figures: Figures = []
    for number in range(options.rounds):
        if options.flink == "rounds" or (options.flink == "once" and number == 0):
            figures += flink(options.work, data, queries)
        figures += millstream(data, queries)
        figures += duckdb(data, queries)
    peers = [engine for engine in options.peers.split(",") if engine]
    for engine in peers:
        figures += peer(engine, options.work, data, queries)
    if options.flink == "known":
        known = [query for query in queries if query in KNOWN_FLINK_S]
        figures += [{"engine": "flink", "query": query, "seconds": KNOWN_FLINK_S[query]} for query in known]
    (options.work / "nexmark-results.json").write_text(json.dumps(figures, indent=1))
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    print(f"{options.events:,} events, {options.rounds} rounds, {machine}; Flink: {options.flink}\n")
    print(table(figures, queries, options.events))
    if peers:
        print(f"\n{peers_table(figures, queries, peers)}")


if __name__ == "__main__":
    main()
