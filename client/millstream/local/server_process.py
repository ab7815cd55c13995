"""One server process of an embedded cluster: start, watch, stop with everything it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

LOG_TAIL_BYTES = 4000
LOG_TAIL_LINES = 12
STOP_TIMEOUT_S = 5.0


class ServerProcess:
    """A module run through ``millstream.local.child`` in a session of its own, so that Ctrl-C reaches only the client.

    Standard error goes to ``log``; standard output to ``stdout`` (a descriptor; None: the log too).
    """

    def __init__(
        self,
        module: str,
        arguments: list[str],
        environment: dict[str, str],
        log: Path,
        *,
        stdout: int | None = None,
        remove: Path | None = None,
    ) -> None:
        self.module = module
        self.log = log
        # -P: the working directory is the user's, and a file there may have the name of a module of the library.
        command = [sys.executable, "-P", "-m", "millstream.local.child"]
        if remove is not None:
            command += ["--remove", str(remove)]
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                [*command, module, *arguments],
                stdin=subprocess.PIPE,
                stdout=stream if stdout is None else stdout,
                stderr=stream,
                env=environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def story(self) -> str:
        """How it ended, with the end of its log."""
        code = self._process.poll()
        if code is None:
            how = "is running"
        elif code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        else:
            how = f"ended with exit code {code}"
        return f"{self.module} (process {self.pid}) {how}{self._log_tail()}"

    def _log_tail(self) -> str:
        try:
            lines = self.log.read_bytes()[-LOG_TAIL_BYTES:].decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        return "".join(f"\n  {line}" for line in [":", *lines[-LOG_TAIL_LINES:]]) if lines else ""

    def ask_to_stop(self) -> None:
        """SIGTERM, and the end of its standard input. Does not wait."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.poll() is None:
            self._process.terminate()

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Wait for the end that ``ask_to_stop`` asked for; kill what is left of its process group."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._process.wait()
