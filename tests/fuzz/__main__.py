"""``python -m tests.fuzz --frames N --seed S``: random and mutated bytes to every port on which a cluster listens.

The last line is the verdict, which the exit status follows.
"""

from __future__ import annotations

import argparse
import sys

from tests.fuzz.campaign import campaign


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0 when nothing died, hung, grew or was fooled."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    with campaign(options.seed) as prepared:
        report = prepared.run(options.frames)
    print(report)
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
