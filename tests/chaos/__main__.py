"""``python -m tests.chaos --minutes M --seed S [--variant V]``: random variants and faults, as long as is wanted.

The last line is the verdict, which the exit status follows. ``--faults slot,freeze+,failpoint:files.write`` runs one
round of exactly these, where ``+`` means that the next one comes at once; ``--rounds N`` ends after so many rounds.
It stops at the first round that fails, unless ``--keep-going``.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from millstream.core.clock import SystemClock
from tests.chaos.cluster import chaos_cluster, impossible
from tests.chaos.failpoints import reachable
from tests.chaos.faults import KINDS, failpoints_for, parse_fault
from tests.chaos.report import Report
from tests.chaos.rounds import FAULTS_A_ROUND, Outcome, Round
from tests.chaos.variants import VARIANTS

ROUNDS_A_CLUSTER = 5


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0 when every record was there exactly once, and nothing hung or crashed."""
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # leave nothing mounted or running
    started_s = SystemClock().monotonic_s()
    for need, reason in impossible().items():
        kinds = [name for name, kind in KINDS.items() if need in kind.needs]
        print(f"left out: {', '.join(kinds)}, since {reason}", flush=True)
    report = Report(options.seed)
    for outcome in _rounds(options):
        report.add(outcome)
        print(f"{len(report.outcomes)}: {outcome}", flush=True)
    report.seconds = SystemClock().monotonic_s() - started_s
    if options.json:
        report.write(options.json)
    for line in report.lines():
        print(line)
    return 1 if report.failed else 0


def _rounds(options: argparse.Namespace) -> Iterator[Outcome]:
    """One after the other; some of them share a cluster."""
    clock = SystemClock()
    end_s = clock.monotonic_s() + options.minutes * 60
    chance = random.Random(options.seed)
    wanted = 1 if options.faults else options.rounds
    left = reachable(options.jobmanagers > 1) if options.every_failpoint else []
    chance.shuffle(left)
    done = 0
    while done < wanted and (done == 0 or clock.monotonic_s() < end_s):
        cluster_seed = 0 if options.plain else chance.randrange(1, 1_000_000)
        if done == 0 and options.cluster_seed is not None:
            cluster_seed = options.cluster_seed
        with chaos_cluster(cluster_seed, options.jobmanagers) as cluster:
            for _ in range(ROUNDS_A_CLUSTER):
                seed = options.seed if done == 0 else chance.randrange(1_000_000)
                variant = VARIANTS[options.variant or chance.choice(list(VARIANTS))]
                faults = options.faults
                if left and done % 2:
                    here = set(failpoints_for(variant, seed, options.jobmanagers > 1))
                    names = [name for name in left if name in here][:FAULTS_A_ROUND]
                    faults = [parse_fault(f"failpoint:{name}") for name in names] or faults
                    left = [name for name in left if name not in names]
                outcome = Round(cluster, variant, seed, faults, plain=options.plain).run()
                done += 1
                yield outcome
                if outcome.problem and not options.keep_going:
                    return
                if outcome.problem or done >= wanted or clock.monotonic_s() >= end_s:
                    break


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cluster-seed", type=int, help="of the first cluster's settings; 0: the plain ones")
    parser.add_argument("--jobmanagers", type=int, default=2, choices=(1, 2, 3))
    parser.add_argument("--variant", choices=list(VARIANTS))
    parser.add_argument("--faults", type=lambda text: [parse_fault(part) for part in text.split(",") if part])
    parser.add_argument("--plain", action="store_true", help="no settings but those of the variant")
    parser.add_argument("--every-failpoint", action="store_true", help="some of the first rounds, once each")
    parser.add_argument("--keep-going", action="store_true", help="after a round that failed, too")
    parser.add_argument("--json", type=Path, help="write what was seen there")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
