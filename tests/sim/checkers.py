"""What must hold at every moment, looked at from outside: on the wire, on the disk, in slots. A breach ends the run."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import Final

from millstream.core.checkpoint.files import crc32c
from millstream.core.checkpoint.manifest import MANIFEST_NAME, parse_manifest, state_files
from millstream.proto.v1 import checkpoint_pb2, taskmanager_pb2
from millstream.taskmanager.network.receiving import ReceivingChannel
from millstream.taskmanager.task.phase import TaskPhase
from tests.oracle.keeping import record_of
from tests.sim.disk import SimDisk
from tests.sim.job import SINK_DIRECTORY, Row, rows_of
from tests.sim.loop import SimProcess
from tests.sim.net import SimNet
from tests.sim.slots import SimSlot

LOOK_S: Final = 0.25
_EPOCH: Final = re.compile(r"/checkpoints/(\w+)/epochs/(\d+)")
_GENERATION: Final = re.compile(r"/checkpoints/(\w+)/generation-(\d+)")
_RESTORED: Final = re.compile(r"/checkpoints/(\w+)/chk-(\d+)-g(\d+)")


class Breach(AssertionError):
    """Something that must never be."""


class Checkers:
    """Sees every call, every write and, four times a second, every slot."""

    def __init__(self, net: SimNet, disk: SimDisk) -> None:
        self._net = net
        self._disk = disk
        self._acknowledged: dict[tuple[str, int], dict[tuple[str, int], list[bytes]]] = defaultdict(dict)
        self._epochs: dict[str, tuple[int, int]] = {}
        """By job: number and generation of the newest checkpoint that counts."""
        self._counted: set[tuple[str, int, int]] = set()
        self._generations: dict[str, int] = {}
        self._committed: Counter[Row] = Counter()
        self.manifests = 0
        net.on_call = self._called
        disk.on_write.append(self._written)
        net.loop.call_later(LOOK_S, self._look, context=net.loop.world.context)

    # -- the wire ----------------------------------------------------------------------------------------------------

    def _called(self, server: SimProcess, method: str, chunks: list[bytes]) -> None:
        if method.endswith("/ReportCheckpoint"):
            report = checkpoint_pb2.CheckpointReport.FromString(chunks[0])
            if not report.HasField("error"):
                subtask = (report.subtask.vertex_id, report.subtask.index)
                of_checkpoint = self._acknowledged[report.subtask.job_id, report.checkpoint_id]
                of_checkpoint.setdefault(subtask, []).append(report.state.SerializeToString(deterministic=True))
        elif method.endswith("/DeploySubtasks"):
            self._deployed(taskmanager_pb2.DeploySubtasksRequest.FromString(chunks[0]))

    def _deployed(self, request: taskmanager_pb2.DeploySubtasksRequest) -> None:
        """An attempt starts from a checkpoint that counts, or did when this call was made."""
        for deployment in request.subtasks:
            match = _RESTORED.fullmatch(deployment.restored.directory.rstrip("/"))
            if match is None or match[1] != request.job_id:
                continue
            if (match[1], int(match[2]), int(match[3])) not in self._counted:
                raise Breach(f"{request.job_id} starts from checkpoint {match[2]}, which never counted")

    # -- the disk ----------------------------------------------------------------------------------------------------

    def _written(self, path: str, data: bytes) -> None:
        if path.startswith(f"{SINK_DIRECTORY}/committed/"):
            self._made_visible(rows_of(data))
        elif path.endswith(f"/{MANIFEST_NAME}"):
            self._sealed(path.removesuffix(f"/{MANIFEST_NAME}"), data)
        elif match := _EPOCH.fullmatch(path):
            self._claimed(match[1], int(match[2]), int(record_of(data)["generation"]))
        elif match := _GENERATION.fullmatch(path):
            known = self._generations.get(match[1], 0)
            if int(match[2]) <= known:
                raise Breach(f"generation {match[2]} of {match[1]} begins after generation {known}")
            self._generations[match[1]] = int(match[2])

    def _made_visible(self, rows: list[Row]) -> None:
        self._committed.update(rows)
        double = [row for row in rows if self._committed[row] > 1]
        if double:
            raise Breach(f"the sink shows twice: {double[:3]}")

    def _sealed(self, directory: str, data: bytes) -> None:
        """Every subtask that had not finished has acknowledged just what the manifest holds, and it is on the disk."""
        manifest = parse_manifest(data, directory)
        self.manifests += 1
        answers = self._acknowledged.get((manifest.job_id, manifest.checkpoint_id), {})
        for vertex in manifest.vertices:
            if [state.index for state in vertex.subtasks] != list(range(vertex.parallelism)):
                raise Breach(
                    f"{directory} has the subtasks {[state.index for state in vertex.subtasks]} of {vertex.name}"
                )
            for state in vertex.subtasks:
                told = answers.get((vertex.vertex_id, state.index), [])
                if not state.finished and state.SerializeToString(deterministic=True) not in told:
                    raise Breach(f"{directory} is complete, but {vertex.name} {state.index} has not acknowledged it")
        for _, file in state_files(manifest):
            self._whole(f"{directory}/{file.path}", file)

    def _whole(self, path: str, file: checkpoint_pb2.StateFile) -> None:
        parts: list[str] = []
        for name in path.split("/"):
            parts = parts[:-1] if name == ".." else [*parts, name]
        found = self._disk.find("/".join(parts))
        if not isinstance(found, bytes) or len(found) != file.length or crc32c(found) != file.crc32c:
            raise Breach(f"a complete checkpoint refers to {path}, which is not what was written")

    def _claimed(self, job: str, number: int, generation: int) -> None:
        known = self._epochs.get(job, (0, 0))
        if number <= known[0] or generation < known[1]:
            raise Breach(
                f"checkpoint {number} of generation {generation} counts after {known[0]} of {known[1]} in {job}"
            )
        if self._disk.find(f"/checkpoints/{job}/chk-{number}-g{generation}/{MANIFEST_NAME}") is None:
            raise Breach(f"checkpoint {number} of {job} counts without a manifest")
        self._epochs[job] = (number, generation)
        self._counted.add((job, number, generation))

    # -- slots -------------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        running: Counter[tuple[str, str, str, int]] = Counter()
        for slot in SimSlot.everyone:
            server, loop = slot.server, slot.loop
            if server is None or loop is None:
                continue
            jobs = {task.info.job_id for task in loop.tasks}
            if len(jobs) > 1:
                raise Breach(f"{slot.process.name} has subtasks of several jobs: {sorted(jobs)}")
            # One of a former attempt may still be there: it is cancelled when it reports itself.
            subtasks = [(task.info.vertex_id, task.info.subtask_index, task.info.attempt) for task in loop.tasks]
            if len(set(subtasks)) < len(subtasks):
                raise Breach(f"{slot.process.name} is booked twice: {subtasks}")
            self._credits(slot)
            for task in loop.tasks:
                if task.phase is TaskPhase.RUNNING and slot.process.machine not in self._net.dark:
                    running[task.info.job_id, task.info.vertex_id, f"{task.info.subtask_index}", task.info.attempt] += 1
        double = [key for key, count in running.items() if count > 1]
        if double:
            raise Breach(f"the same attempt of a subtask runs in two slots: {double}")
        self._net.loop.call_later(LOOK_S, self._look, context=self._net.loop.world.context)

    def _credits(self, slot: SimSlot) -> None:
        """Of every channel, between two steps; and of the slot's buffers, over all of them."""
        loop = slot.loop
        assert loop is not None
        floating = 0
        for task in loop.tasks:
            for channel in [channel for gate in task.gates for channel in gate.channels]:
                if isinstance(channel, ReceivingChannel):
                    channel.credit.check()
                    floating += channel.credit.floating
        budget = loop.network._budget
        if budget.lent != floating:
            raise Breach(f"{slot.process.name} has lent {budget.lent} buffers, its channels hold {floating}")
