"""``python -m tests.bugbank [--bug NAME ...] [--ci]``: plant bugs one at a time, and see that the suite notices each.

Each bug's catchers, the cheapest first, must fail because of it, and pass without it. The last line is ``k/k caught``;
the exit status is 1 when one was not.
"""

from __future__ import annotations

import argparse
import sys

from tests.bugbank.bank import BUGS
from tests.bugbank.running import Suspects, Verdict, table


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    chosen = [BUGS[name] for name in options.bug or BUGS]
    if options.ci:
        chosen = [bug for bug in chosen if bug.in_ci]
    if options.list:
        for bug in chosen:
            print(f"{bug.name}\n    {bug.story}\n    {', '.join(catcher.name for catcher in bug.catchers)}")
        return 0
    suspects = Suspects()
    verdicts: list[Verdict] = []
    for bug in chosen:
        verdict = suspects.judge(bug)
        verdicts.append(verdict)
        by = "NOT CAUGHT" if verdict.catcher is None else f"caught by {verdict.catcher.name}"
        print(f"{bug.name}: {by} ({verdict.seconds:.0f} s)\n    {verdict.told}", flush=True)
    caught = sum(verdict.catcher is not None for verdict in verdicts)
    print(f"\n{table(verdicts)}\n{caught}/{len(verdicts)} caught")
    return 0 if caught == len(verdicts) else 1


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bugbank", description=__doc__)
    parser.add_argument("--bug", action="append", choices=list(BUGS), metavar="NAME", help="only this one")
    parser.add_argument("--ci", action="store_true", help="only those that take seconds")
    parser.add_argument("--list", action="store_true", help="tell what there is, and run nothing")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
