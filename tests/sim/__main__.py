"""``python -m tests.sim --seeds N [--seed S] [--jobs J]``: simulated clusters, one a seed, with faults.

Seeds S, S+1 and so on, the first drawn if it is not given. Each that fails is printed with its problem as soon as it
does, and ``--seed S --seeds 1 --verbose`` repeats it with the log of everybody. The last line is the verdict, which the
exit status follows.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import random
import resource
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from tests.sim.seeds import outcomes
from tests.sim.world import Outcome

HASH_SEED: Final = "0"
FAILURES_SHOWN_MAX: Final = 20


@dataclass
class Verdict:
    """Over all seeds."""

    seeds: int = 0
    failed: list[int] = field(default_factory=list)
    simulated_s: float = 0.0
    records: int = 0
    lost: int = 0
    doubled: int = 0
    checkpoints: int = 0
    manifests: int = 0
    restarts: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.simulated_s += outcome.simulated_s
        self.records += outcome.records
        self.lost += outcome.lost
        self.doubled += outcome.doubled
        self.checkpoints += outcome.checkpoints
        self.manifests += outcome.manifests
        self.restarts += outcome.restarts
        self.faults.update(outcome.faults)
        if outcome.problem:
            self.failed.append(outcome.seed)
            if len(self.failed) <= FAILURES_SHOWN_MAX:
                print(f"seed {outcome.seed}: {outcome.problem}", flush=True)
                print(f"    repeat: python -m tests.sim --seed {outcome.seed} --seeds 1 --verbose", flush=True)

    def line(self, cpu_s: float) -> str:
        faults = ", ".join(f"{kind.replace('_', ' ')} {count}" for kind, count in sorted(self.faults.items()) if count)
        hours = self.simulated_s / 3600
        word = f"FAILED ({len(self.failed)} seeds)" if self.failed else "PASSED"
        return (
            f"{word}: {self.seeds} seeds, {hours:.1f} simulated hours in {cpu_s / 60:.1f} CPU minutes "
            f"({hours / (cpu_s / 60):.1f} an hour's worth a minute); {self.restarts} restarts, "
            f"{self.manifests} checkpoints compared; faults: {faults or 'none'}; "
            f"{self.records} records checked, {self.lost} lost, {self.doubled} doubled"
        )


def main(arguments: list[str] | None = None) -> int:
    """0 when every seed passed."""
    options = _parse(arguments)
    if os.environ.get("PYTHONHASHSEED") != HASH_SEED:  # the order of sets is part of what a seed repeats
        os.environ["PYTHONHASHSEED"] = HASH_SEED
        os.execv(sys.executable, [sys.executable, "-m", "tests.sim", *(arguments or sys.argv[1:])])
    first = random.SystemRandom().randrange(10**9) if options.seed is None else options.seed
    print(f"seeds {first} to {first + options.seeds - 1}", flush=True)
    verdict = Verdict()
    seeds = range(first, first + options.seeds)
    if options.verbose:
        logging.basicConfig(level=logging.INFO, format="%(message)s")
    for outcome in outcomes(seeds, options.jobs, options.verbose):
        verdict.add(outcome)
        if options.trace:
            print(f"trace {outcome.seed} {outcome.trace:x}")
        if verdict.failed and options.stop:
            break
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(verdict.line(sum(one.ru_utime + one.ru_stime for one in used)))
    return 1 if verdict.failed else 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--seed", type=int, help="the first one; drawn when it is not given")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--stop", action="store_true", help="at the first seed that fails")
    parser.add_argument("--trace", action="store_true", help="print a hash of what happened, which the seed repeats")
    parser.add_argument("--verbose", action="store_true", help="the log of all processes")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
