"""A slot's signs of life: a thread of its own writes a byte to a pipe now and then.

The task loop may be held up for long by a user's function; the thread beats on, since Python lets it run every few
milliseconds. Only code in C that keeps the interpreter's lock holds it up, and whatever stops the whole process.
"""

from __future__ import annotations

import os
import threading


def start_beating(pipe: int, interval_s: float) -> None:
    """Beat until the process ends or nobody listens. Owns ``pipe``, whose writes do not block."""
    threading.Thread(target=_beat, args=(pipe, interval_s), name="heartbeat", daemon=True).start()


def _beat(pipe: int, interval_s: float) -> None:
    pause = threading.Event()
    while True:
        try:
            os.write(pipe, b".")
        except BlockingIOError:
            pass  # the TaskManager stands still itself, and finds the beats that fill the pipe when it goes on
        except OSError:
            os.close(pipe)
            return
        pause.wait(interval_s)
