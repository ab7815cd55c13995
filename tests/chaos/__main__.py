"""``python -m tests.chaos --minutes M --seed S [--variant V]``: random variants and faults, as long as is wanted.

The last line is the verdict, which the exit status follows. ``--faults slot,freeze,failpoint:files.write`` runs one
round of exactly these; ``--rounds N`` ends after so many.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter

from millstream.core.clock import SystemClock
from tests.chaos.cluster import chaos_cluster
from tests.chaos.rounds import Outcome, Round
from tests.chaos.variants import VARIANTS, parse_fault

ROUNDS_A_CLUSTER = 5


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0 when every record was there exactly once, and nothing hung or crashed."""
    options = _parse(arguments)
    clock = SystemClock()
    end_s = clock.monotonic_s() + options.minutes * 60
    chance = random.Random(options.seed)
    outcomes: list[Outcome] = []
    rounds = 1 if options.faults else options.rounds
    while not outcomes or (clock.monotonic_s() < end_s and len(outcomes) < rounds):
        with chaos_cluster() as cluster:
            for _ in range(ROUNDS_A_CLUSTER):
                first = not outcomes
                seed = options.seed if first else chance.randrange(1_000_000)
                variant = VARIANTS[options.variant or chance.choice(list(VARIANTS))]
                outcomes.append(Round(cluster, variant, seed, options.faults).run())
                print(f"{len(outcomes)}: {outcomes[-1]}", flush=True)
                done = clock.monotonic_s() >= end_s or len(outcomes) >= rounds
                if done or outcomes[-1].problem:
                    break
    return verdict(outcomes)


def verdict(outcomes: list[Outcome]) -> int:
    """Print it as one line."""
    faults: Counter[str] = Counter()
    for outcome in outcomes:
        for fault, count in outcome.faults.items():
            faults[fault.partition(":")[0]] += count
    failed = [outcome for outcome in outcomes if outcome.problem]
    for outcome in failed:
        print(f"failed: {outcome.command}")
    by_kind = ", ".join(f"{kind} {count}" for kind, count in sorted(faults.items())) or "none"
    lost, doubled = sum(o.lost for o in outcomes), sum(o.doubled for o in outcomes)
    print(
        f"{'FAILED' if failed else 'PASSED'}: {len(outcomes)} rounds, {len(failed)} failed; faults: {by_kind}; "
        f"{sum(o.records for o in outcomes)} records checked, {lost} lost, {doubled} doubled"
    )
    return 1 if failed else 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--variant", choices=list(VARIANTS))
    parser.add_argument("--faults", type=lambda text: [parse_fault(part) for part in text.split(",") if part])
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
