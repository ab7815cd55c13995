"""Writes a file of NDJSON bids, about 220 bytes each: python benchmarks/bids.py FILE COUNT [SEED]"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

CHANNELS = ("Apple", "Google", "Facebook", "Baidu")


def write_bids(path: Path, count: int, seed: int = 1, auctions: int = 10_000) -> None:
    """``count`` bids on ``auctions`` auctions, the same for the same seed."""
    generator = random.Random(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        for number in range(count):
            channel = generator.choice(CHANNELS)
            bid = {
                "auction": generator.randrange(auctions),
                "bidder": generator.randrange(50_000),
                "price": generator.randrange(100, 10_000_000),
                "channel": channel,
                "url": f"https://www.nexmark.com/{channel.lower()}/item.htm?query={generator.randrange(10**6)}",
                "date_time": 1_700_000_000_000 + number // 10,
                "extra": "x" * generator.randrange(30, 60),
            }
            stream.write(json.dumps(bid, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    write_bids(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
