"""Runs a server of an embedded cluster so that it never outlives the process that started it.

``python -m millstream.local.child [--remove DIRECTORY] MODULE [ARGUMENTS]`` runs ``MODULE`` as ``python -m`` would. Its
standard input is a pipe from the parent. However the parent ends, the kernel closes that pipe; a thread that reads it
then asks the server to stop like SIGTERM does, and ends the process if it does not.
"""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import sys
import threading

STOP_TIMEOUT_S = 5.0


def main(arguments: list[str]) -> None:
    """Watch the parent, run the module."""
    directory = ""
    if arguments[0] == "--remove":
        directory, arguments = arguments[1], arguments[2:]
    module, *rest = arguments
    watch = ParentWatch(directory)
    threading.Thread(target=watch.run, name="parent-watch", daemon=True).start()
    sys.argv = [module, *rest]
    signal.signal(signal.SIGTERM, _leave)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        watch.ended.set()
        if watch.orphaned:
            shutil.rmtree(directory, ignore_errors=True)


def _leave(number: int, frame: object) -> None:
    """Until the server has its own handler: end as if it had one, so that ``finally`` clauses run."""
    sys.exit(0)


class ParentWatch:
    """Waits for the end of standard input."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self.ended = threading.Event()
        self.orphaned = False

    def run(self) -> None:
        """On its own thread: stop this process when the parent is gone."""
        while os.read(0, 4096):
            pass
        self.orphaned = bool(self._directory)
        os.kill(os.getpid(), signal.SIGTERM)
        if not self.ended.wait(STOP_TIMEOUT_S):
            if self.orphaned:
                shutil.rmtree(self._directory, ignore_errors=True)
            if os.getpgid(0) == os.getpid():
                os.killpg(0, signal.SIGKILL)
            os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
