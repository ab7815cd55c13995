"""Flink as real processes: two JobManagers with ZooKeeper, TaskManagers with one slot each.

Everything is of one installation of apache-flink (``Flink.find``): its scripts start the JVMs, its own jar has the
ZooKeeper server. What is asked of the cluster is asked of its REST interface.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from race.job import CHECKPOINT_INTERVAL_S, PARALLELISM
from race.schedule import FREEZE_TASKMANAGER, KILL_JOBMANAGER

FLINK_PYTHON: Final = "FLINK_PYTHON"
"""Environment variable: a Python that has apache-flink."""
START_TIMEOUT_S: Final = 120.0
EXCEPTIONS_LOOKED_AT: Final = 16
MEMORY: Final = "1024m"
_ZOOKEEPER: Final = "org.apache.flink.shaded.zookeeper3.org.apache.zookeeper.server.ZooKeeperServerMain"


def find_flink(root: Path) -> Path | None:
    """The Python of an environment with apache-flink: that which the variable names, or that of the Nexmark
    benchmarks."""
    named = os.environ.get(FLINK_PYTHON)
    python = Path(named) if named else root / "data" / "flink-venv" / "bin" / "python"
    return python if python.exists() and shutil.which("java") else None


class FlinkCluster:
    """``settings``: of the cluster, over Flink's defaults; ``tick_ms``: ZooKeeper's, which bounds session timeouts."""

    name = "Flink"

    def __init__(
        self, python: Path, taskmanagers: int, settings: dict[str, str], job_settings: dict[str, str], tick_ms: int
    ) -> None:
        self._python = python
        self._taskmanagers = taskmanagers
        self._settings = settings
        self._job_settings = job_settings
        self._tick_ms = tick_ms
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._rest_ports: dict[str, int] = {}
        self._jobmanagers: list[str] = []
        self._frozen: list[str] = []
        self._started = 0
        self.struck_s = 0.0
        self._job_id = ""

    # -- life -------------------------------------------------------------------------------------------------------

    def start(self, home: Path) -> None:
        self._home = home
        found = "import pyflink, os; print(os.path.dirname(pyflink.__file__))"
        self._flink = Path(subprocess.check_output([self._python, "-c", found], text=True).strip())
        self._zookeeper_port = _free_port()
        self._start_zookeeper()
        for _ in range(2):
            self._start_jobmanager()
        for _ in range(self._taskmanagers):
            self._start_taskmanager()
        _wait(lambda: self._slots() == self._taskmanagers, "the slots of Flink")

    def submit(self, output: Path) -> None:
        settings = {
            "parallelism.default": str(PARALLELISM),
            "execution.checkpointing.interval": f"{CHECKPOINT_INTERVAL_S:g} s",
            "execution.checkpointing.dir": (self._home / "checkpoints").as_uri(),
            **self._job_settings,
        }
        port = self._rest_ports[self._jobmanagers[0]]
        script = Path(__file__).with_name("flink_job.py")
        command = [str(self._python), str(script), "localhost", str(port), str(output), json.dumps(settings)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"the job could not be submitted to Flink:\n{done.stderr[-4000:]}")
        self._job_id = done.stdout.split()[-1]

    def close(self) -> None:
        self.heal_frozen()
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    # -- questions --------------------------------------------------------------------------------------------------

    def is_steady(self) -> bool:
        job = self._job()
        tasks = [vertex["tasks"]["RUNNING"] == PARALLELISM for vertex in job.get("vertices", ())]
        return job.get("state") == "RUNNING" and all(tasks) and self._slots() == self._taskmanagers

    def checkpoints(self) -> int:
        return int(self._ask(f"/jobs/{self._job_id}/checkpoints").get("counts", {}).get("completed", 0))

    def noticed(self, kind: str, since_s: float) -> float | None:
        if kind == KILL_JOBMANAGER:
            answered = "status" in self._ask(f"/jobs/{self._job_id}/status")
            return time.time() if answered else None
        history = self._ask(f"/jobs/{self._job_id}/exceptions?maxExceptions={EXCEPTIONS_LOOKED_AT}")
        entries = history.get("exceptionHistory", {}).get("entries", ())
        times = [entry["timestamp"] / 1000 for entry in entries]
        return min((at for at in times if at > since_s), default=None)

    def restarted(self, since_s: float) -> bool:
        return any(vertex["start-time"] / 1000 > since_s for vertex in self._job().get("vertices", ()))

    # -- faults -----------------------------------------------------------------------------------------------------

    def strike(self, kind: str, choice: int) -> None:
        if kind == KILL_JOBMANAGER:
            self.struck_s = time.time()
            self._kill(self._jobmanagers.pop(0))  # the one that has been there longest leads
            return
        running = self._running_taskmanagers()
        victim = running[choice % len(running)]
        self.struck_s = time.time()
        if kind == FREEZE_TASKMANAGER:
            os.killpg(self._processes[victim].pid, signal.SIGSTOP)
            self._frozen.append(victim)
        else:
            self._kill(victim)

    def heal(self) -> None:
        self.heal_frozen()
        while len(self._jobmanagers) < 2:
            self._start_jobmanager()
        alive = sum(name.startswith("tm") for name in self._processes)
        for _ in range(self._taskmanagers - alive):
            self._start_taskmanager()

    def heal_frozen(self) -> None:
        for name in self._frozen:
            os.killpg(self._processes[name].pid, signal.SIGCONT)
        self._frozen.clear()

    def _kill(self, name: str) -> None:
        process = self._processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    # -- processes --------------------------------------------------------------------------------------------------

    def _start_zookeeper(self) -> None:
        file = self._home / "zoo.cfg"
        file.write_text(
            f"tickTime={self._tick_ms}\ndataDir={self._home / 'zookeeper'}\nclientPort={self._zookeeper_port}\n"
            "admin.enableServer=false\n"
        )
        classes = f"{self._flink}/lib/*"
        log4j = f"-Dlog4j.configurationFile=file:{self._flink}/conf/log4j-console.properties"
        log = f"-Dlog.file={self._home / 'zookeeper.log'}"
        self._run("zookeeper", ["java", "-Xmx128m", log4j, log, "-cp", classes, _ZOOKEEPER, str(file)], os.environ)
        _wait(lambda: _listens(self._zookeeper_port), "ZooKeeper")

    def _start_jobmanager(self) -> None:
        self._started += 1
        name = f"jm{self._started}"
        self._rest_ports[name] = _free_port()
        own = {"rest.port": self._rest_ports[name], "rest.bind-port": self._rest_ports[name]}
        self._start(name, "jobmanager.sh", {**own, "jobmanager.memory.process.size": MEMORY})
        self._jobmanagers.append(name)
        _wait(lambda: _listens(self._rest_ports[name]), "a JobManager of Flink")

    def _start_taskmanager(self) -> None:
        self._started += 1
        name = f"tm{self._started}"
        own = {"taskmanager.resource-id": name, "taskmanager.memory.process.size": MEMORY}
        self._start(name, "taskmanager.sh", {**own, "taskmanager.numberOfTaskSlots": 1})

    def _start(self, name: str, script: str, own: dict[str, Any]) -> None:
        conf = self._home / name
        conf.mkdir()
        shutil.copy(self._flink / "conf" / "log4j-console.properties", conf)
        shipped = (self._flink / "conf" / "config.yaml").read_text()
        java_options = shipped[shipped.index("env:") :].split("\n\n", 1)[0]
        settings = {
            "jobmanager.rpc.address": "localhost",
            "taskmanager.host": "localhost",
            "high-availability.type": "zookeeper",
            "high-availability.storageDir": (self._home / "ha").as_uri(),
            "high-availability.zookeeper.quorum": f"localhost:{self._zookeeper_port}",
            "web.refresh-interval": "500",
            **self._settings,
            **own,
        }
        lines = [f"{key}: {json.dumps(value)}" for key, value in settings.items()]
        (conf / "config.yaml").write_text("\n".join([java_options, *lines, ""]))
        places = {"FLINK_CONF_DIR": conf, "FLINK_LOG_DIR": conf, "FLINK_PID_DIR": conf}
        environment = {**os.environ, **{key: str(path) for key, path in places.items()}}
        self._run(name, [str(self._flink / "bin" / script), "start-foreground"], environment)

    def _run(self, name: str, command: list[str], environment: Any) -> None:
        with (self._home / f"{name}.out").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, start_new_session=True
            )

    # -- REST -------------------------------------------------------------------------------------------------------

    def _ask(self, path: str) -> dict[str, Any]:
        """The answer of the JobManager that leads or will lead; empty when there is none."""
        url = f"http://localhost:{self._rest_ports[self._jobmanagers[0]]}{path}"
        try:
            with urllib.request.urlopen(url, timeout=2) as response:
                found: dict[str, Any] = json.load(response)
                return found
        except (urllib.error.URLError, OSError, ValueError):
            return {}

    def _job(self) -> dict[str, Any]:
        return self._ask(f"/jobs/{self._job_id}")

    def _slots(self) -> int:
        return int(self._ask("/overview").get("slots-total", 0))

    def _running_taskmanagers(self) -> list[str]:
        vertices = [vertex["id"] for vertex in self._job()["vertices"]]
        details = [self._ask(f"/jobs/{self._job_id}/vertices/{vertex}") for vertex in vertices]
        return sorted({task["taskmanager-id"] for vertex in details for task in vertex["subtasks"]})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait(done: Any, what: str) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while not done():
        if time.monotonic() > deadline_s:
            raise SystemExit(f"{what}: not there within {START_TIMEOUT_S:g} s")
        time.sleep(0.1)
