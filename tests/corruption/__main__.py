"""``python -m tests.corruption --tries N --seed S``: is every damage to state files and records noticed?

The last line is the verdict, which the exit status follows.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from tests.corruption.corpus import Corpus, cluster, files_of
from tests.corruption.trial import try_damages


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0 when all was detected."""
    parser = argparse.ArgumentParser(prog="python -m tests.corruption", description=__doc__)
    parser.add_argument("--tries", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    logging.disable()
    with tempfile.TemporaryDirectory(prefix="corruption-") as directory:
        with cluster(Path(directory)) as mini:
            corpus = Corpus(mini, Path(directory))
            corpus.make()
        outcome = try_damages(corpus.targets, options.tries, options.seed)
    for missed in outcome.missed[:50]:
        print(f"missed: {missed}")
    print(f"{files_of(corpus.targets)} files, seed {options.seed}\n{outcome}")
    return 1 if outcome.missed else 0


if __name__ == "__main__":
    sys.exit(main())
