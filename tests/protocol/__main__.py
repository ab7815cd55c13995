"""``python -m tests.protocol DIRECTORY``: check a protocol log; the exit status is 1 when something is wrong."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from tests.protocol.check import check
from tests.protocol.history import History, read


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__)
        return 2
    directory = Path(arguments[0])
    events, _ = read(directory)
    history = History(events)
    kinds = Counter(event.kind for event in events)
    print(f"{len(events)} events of {len({event.process for event in events})} processes, {len(history.jobs)} jobs")
    for kind, count in sorted(kinds.items()):
        print(f"{count:8} {kind}")
    problems = check(directory)
    for problem in problems:
        print(problem)
    print(f"FAILED: {len(problems)} problems" if problems else "PASSED: I1 to I12 hold")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
