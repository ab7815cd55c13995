"""A real ZooKeeper server of this machine, as Debian's package ``zookeeper`` brings it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

JAR = Path("/usr/share/java/zookeeper.jar")
MAIN_CLASS = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
START_TIMEOUT_S = 60.0
TICK_MS = 500
"""Sessions may have time-outs of 2 to 20 ticks."""

INSTALLED = JAR.exists() and shutil.which("java") is not None
HOW_TO_INSTALL = "ZooKeeper is not installed: scripts/setup-servers does it on Debian"


class ZooKeeperServer:
    """One server with its data in ``directory``, stopped by ``close``; ``kill`` and ``start`` again keep the data."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._settings = directory / "zoo.cfg"
        self._settings.write_text(
            f"tickTime={TICK_MS}\ndataDir={directory / 'data'}\nclientPort={self.port}\n"
            f"clientPortAddress=127.0.0.1\nadmin.enableServer=false\n"
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def quorum(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Return when it answers."""
        with (self._directory / "zookeeper.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", str(JAR), MAIN_CLASS,
                 str(self._settings)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._directory, start_new_session=True,
            )  # fmt: skip
        deadline_s = time.monotonic() + START_TIMEOUT_S
        pause = threading.Event()
        while not self._answers():
            assert self._process.poll() is None, (self._directory / "zookeeper.log").read_text()[-4000:]
            assert time.monotonic() < deadline_s, f"ZooKeeper does not answer within {START_TIMEOUT_S:.0f} s"
            pause.wait(0.05)

    def kill(self) -> None:
        """SIGKILL; returns when it has ended."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        self.kill()

    def _answers(self) -> bool:
        """``srvr`` is the one command that is always allowed."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as stream:
                stream.sendall(b"srvr")
                return b"Mode: standalone" in stream.recv(4096)
        except OSError:
            return False
