"""Keeping freed memory for the next frame.

glibc gives the top of its heap back to the system as soon as 128 KiB of it are free, which is one network buffer: each
frame then costs 32 page faults, about as much time as the rest of its way. Freeing one large block raises that limit to
twice the block's size (``mallopt(3)``, M_MMAP_THRESHOLD: the threshold is dynamic). The block is never touched, so it
costs no memory. Other allocators are not affected.
"""

from __future__ import annotations

from typing import Final

import numpy as np

KEPT_BYTES: Final = 32 * 1024 * 1024


def keep_freed_memory() -> None:
    """From now on the process keeps up to ``KEPT_BYTES`` of freed memory."""
    block = np.empty(KEPT_BYTES // 2, np.uint8)
    del block
