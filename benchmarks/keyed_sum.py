"""Keyed running sum over NDJSON bids: Millstream at parallelism 1 and 2, and Bytewax, on the same file, in turn.

    .venv/bin/python benchmarks/keyed_sum.py [--bids 2000000] [--rounds 3]

Rates are bids divided by the job's own run time (from RUNNING to FINISHED; Bytewax: around ``run_main``), so starting a
process or a cluster is not in them. Bytewax is installed into an environment of its own below ``data/``.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import venv
from pathlib import Path

from bids import write_bids

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"
BYTEWAX = "bytewax==0.21.1"


def bytewax_python() -> Path:
    home = DATA / "bytewax-venv"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", BYTEWAX, "orjson"], check=True)
    return python


def runtime_ms(command: list[str]) -> float:
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    found = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("runtime_ms")]
    return float(found[-1])


def millstream(parallelism: int, path: Path, variant: str) -> list[str]:
    command = str(Path(sys.executable).with_name("millstream"))
    job = str(ROOT / "benchmarks" / "keyed_sum_job.py")
    return [command, "run", "--local", "-p", str(parallelism), job, str(path), variant]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--bids", type=int, default=2_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    path = DATA / f"bids-{options.bids}.ndjson"
    if not path.exists():
        write_bids(path, options.bids)
    runs = {
        "Bytewax 0.21, 1 worker": [
            str(bytewax_python()),
            str(ROOT / "benchmarks/peers/bytewax_keyed_sum.py"),
            str(path),
        ],
        "Millstream, Python functions, p=1": millstream(1, path, "python"),
        "Millstream, Python functions, p=2": millstream(2, path, "python"),
        "Millstream, built-in sum, p=1": millstream(1, path, "builtin"),
        "Millstream, built-in sum, p=2": millstream(2, path, "builtin"),
    }
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.rounds):
        for name, command in runs.items():
            rates[name].append(options.bids / runtime_ms(command) / 1000)
    print(f"{options.bids:,} bids, {options.rounds} rounds, {os.cpu_count()} cores, Python {platform.python_version()}")
    base = statistics.median(rates["Bytewax 0.21, 1 worker"])
    for name, values in rates.items():
        median = statistics.median(values)
        print(
            f"{name:36} {median:6.3f} M bids/s  (min {min(values):.3f}, max {max(values):.3f})  {median / base:5.2f}x"
        )
    python_1 = statistics.median(rates["Millstream, Python functions, p=1"])
    python_2 = statistics.median(rates["Millstream, Python functions, p=2"])
    print(f"parallelism 1 to 2: {python_2 / python_1:.2f}x")


if __name__ == "__main__":
    main()
