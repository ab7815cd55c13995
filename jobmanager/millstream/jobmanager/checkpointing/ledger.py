"""The records by which a job's checkpoints count: written to the storage, observed there, judged by ``protocol``.

Everything here blocks and runs on a worker thread.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from millstream.core.checkpoint.framing import Framing
from millstream.core.checkpoint.manifest import MANIFEST_NAME, SHARED, checkpoint_name, parse_manifest, state_files
from millstream.core.checkpoint.storage import GONE, Storage, location_of
from millstream.core.errors import DamagedStateError, FencedError
from millstream.core.failpoints import failpoint
from millstream.core.protocol_log import record
from millstream.jobmanager.checkpointing.garbage import collect_garbage
from millstream.jobmanager.checkpointing.history import (
    COMMITTED,
    Candidate,
    Epoch,
    Manifest,
    Mark,
    Observed,
    Start,
    Unreadable,
    epoch_name,
    generation_name,
    mark_name,
    start_name,
)
from millstream.jobmanager.checkpointing.protocol import (
    Authorized,
    ClaimUnclaimed,
    Corrupt,
    FallBackToParent,
    StopOrphaned,
    may_abandon,
    may_commit,
    may_start,
    next_checkpoint_id,
    next_generation,
    recovery,
    start_of,
)
from millstream.proto.v1 import checkpoint_pb2

_GENERATION: Final = re.compile(r"generation-(\d+)")
_START: Final = re.compile(r"start-(\d+)")
_DIRECTORY: Final = re.compile(r"chk-(\d+)-g(\d+)")
_MARK: Final = re.compile(r"RETIRED-(\d+)")
_SHARED_FILE: Final = re.compile(r"(\d+)-g(\d+)-.*")
_EPOCHS: Final = "epochs"
_FRAMING: Final = Framing(b"MSCL", 1, "a record of a job's checkpoints")
_NAME_ALONE: Final = b""
"""Content of a record of which only the name counts."""


@dataclass(frozen=True)
class Taken:
    """What a generation goes on with. ``kept``: completed checkpoints, oldest first. ``damage``: of a newer one."""

    kept: tuple[int, ...]
    next_id: int
    damage: str


class Ledger:
    """The records of one job, for one generation of its leader."""

    def __init__(self, storage: Storage) -> None:
        self.generation = 0
        """0 until ``lead`` or ``take_over``."""
        self.job = posixpath.basename(storage.location.rstrip("/"))
        """Whose directory it is, for the protocol log."""
        self._storage = storage
        self._manifests: dict[Candidate, Manifest] = {}
        """Those that were sealed or read here: a manifest never changes."""
        self._kept: dict[int, int] = {}
        """By checkpoint, the generations that wrote what this one started with."""

    # -- records ------------------------------------------------------------------------------------------------------

    def lead(self) -> int:
        """Become the newest generation, from nothing. Raises ``FencedError`` when somebody else does meanwhile."""
        self._begin()
        self._start(Start(self.generation))
        return self.generation

    def take_over(self) -> Taken:
        """Become the newest generation, and go on from what the one before completed.

        Raises ``DamagedStateError`` when there was something and none of it can be used, ``FencedError`` as ``lead``.
        """
        self._begin()
        failpoint("ledger.generation")
        observed = self.observe()
        decision = recovery(observed, self.generation)
        if isinstance(decision, ClaimUnclaimed):
            number, generation = decision.checkpoint
            self._create(epoch_name(number), generation=generation, parent=decision.parent)
            record("checkpoint.claimed", job=self.job, generation=generation, checkpoint=number)
            failpoint("ledger.claimed")
            observed = self.observe()
            decision = recovery(observed, self.generation)
        if isinstance(decision, Corrupt):
            place = self._storage.location
            raise DamagedStateError(
                f"no checkpoint in {place} can be used, and the job must not start from nothing: {decision.reason}. "
                f"Repair it, or start the job anew from a savepoint or an older checkpoint."
            )
        self._ask(decision)
        start = start_of(observed, self.generation)
        self._start(start)
        failpoint("ledger.started")
        self._kept = {kept.checkpoint_id: kept.generation for kept in start.kept}
        damage = decision.reason if isinstance(decision, FallBackToParent) else ""
        return Taken(tuple(sorted(self._kept)), next_checkpoint_id(observed), damage)

    def _begin(self) -> None:
        while not self.generation:
            found = [int(match[1]) for name in self._storage.list() if (match := _GENERATION.fullmatch(name))]
            generation = next_generation(found)
            if self._storage.create(generation_name(generation), _NAME_ALONE):
                self.generation = generation

    def _start(self, start: Start) -> None:
        self._create(start_name(self.generation), kept=start.kept)
        self._ask(may_start(self.observe(), self.generation))
        record("generation.began", job=self.job, generation=self.generation, kept=start.kept)

    def generation_of(self, checkpoint_id: int) -> int:
        """Who wrote a checkpoint of the line."""
        return self._kept.get(checkpoint_id, self.generation)

    def sealed(self, manifest: checkpoint_pb2.CheckpointManifest) -> None:
        """Remember what a manifest refers to, that was just written."""
        candidate = Candidate(manifest.checkpoint_id, self.generation)
        known = self._manifests[candidate] = _manifest(candidate, manifest)
        record(
            "checkpoint.sealed",
            job=manifest.job_id,
            generation=self.generation,
            checkpoint=manifest.checkpoint_id,
            savepoint=False,
            parent=manifest.parent_id,
            path=location_of(self._storage.location, checkpoint_name(*candidate)),
            files=sorted(known.files),
        )

    def claim(self, checkpoint_id: int, parent: int) -> bool:
        """Make a sealed checkpoint the one of its number; from then on it counts, and sinks may commit.

        False when it never will. Raises ``FencedError`` when this generation does not lead any more.
        """
        self._create(epoch_name(checkpoint_id), generation=self.generation, parent=parent)
        candidate = Candidate(checkpoint_id, self.generation)
        counts = self._ask(may_commit(self.observe(), self.generation, checkpoint_id)) == candidate
        if counts:
            record("checkpoint.claimed", job=self.job, generation=self.generation, checkpoint=checkpoint_id)
        return counts

    def committed(self, checkpoint_id: int) -> None:
        """The sinks have been told to commit it."""
        failpoint("checkpoint.note")
        written_by = self.generation_of(checkpoint_id)
        self._storage.create(f"{checkpoint_name(checkpoint_id, written_by)}/{COMMITTED}", _NAME_ALONE)
        record("checkpoint.committed", job=self.job, generation=self.generation, checkpoint=checkpoint_id)

    def abandon(self, checkpoint_id: int) -> None:
        """Before sinks drop a checkpoint whose manifest may be there."""
        mark = Mark(Candidate(checkpoint_id, self.generation), self.generation)
        self._storage.create(mark_name(mark), _NAME_ALONE)
        self._ask(may_abandon(self.observe(), self.generation, checkpoint_id))

    def collect(self, retained: Collection[int], in_use: Collection[int]) -> None:
        """Remove what nobody needs, in two rounds: marked first, deleted after another look."""
        decision = collect_garbage(self.observe(), retained, in_use, self.generation)
        if decision.retire:
            for mark in decision.retire:
                self._storage.create(mark_name(mark), _NAME_ALONE)
            decision = collect_garbage(self.observe(), retained, in_use, self.generation)
        if decision.delete:
            paths = list(decision.delete)
            record("files.discarded", job=self.job, generation=self.generation, paths=paths)
        for path in decision.delete:
            directory = _DIRECTORY.fullmatch(path)
            if directory:
                self._storage.delete_tree(path)
                self._manifests.pop(Candidate(int(directory[1]), int(directory[2])), None)
            else:
                self._storage.delete(path)

    def _ask(self, permit: Any) -> Candidate | None:
        if isinstance(permit, StopOrphaned):
            record("generation.fenced", job=self.job, generation=self.generation, reason=permit.reason)
            raise FencedError(
                f"another JobManager has taken over the job's checkpoints in {self._storage.location}: {permit.reason}"
            )
        return permit.checkpoint if isinstance(permit, Authorized) else None

    # -- observing ----------------------------------------------------------------------------------------------------

    def observe(self) -> Observed:
        """What is there now; marks are read before all else. ``OSError`` when the storage does not say."""
        names = self._storage.list()
        directories = {
            Candidate(int(match[1]), int(match[2])): name for name in names if (match := _DIRECTORY.fullmatch(name))
        }
        marked = {candidate: self._storage.list(name) for candidate, name in directories.items()}
        retired = frozenset(
            Mark(candidate, int(match[1]))
            for candidate, inside in marked.items()
            for name in inside
            if (match := _MARK.fullmatch(name))
        )
        files: dict[str, Candidate] = {}
        for candidate, inside in marked.items():
            for name in inside:
                if name not in (MANIFEST_NAME, COMMITTED) and not _MARK.fullmatch(name):
                    files[f"{directories[candidate]}/{name}"] = candidate
        for name in self._storage.list(SHARED):
            if match := _SHARED_FILE.fullmatch(name):
                files[f"{SHARED}/{name}"] = Candidate(int(match[1]), int(match[2]))
        return Observed(
            generations=frozenset(int(match[1]) for name in names if (match := _GENERATION.fullmatch(name))),
            starts={
                int(match[1]): self._read_start(int(match[1])) for name in names if (match := _START.fullmatch(name))
            },
            manifests={
                candidate: self._read_manifest(candidate, directories[candidate])
                for candidate, inside in marked.items()
                if MANIFEST_NAME in inside
            },
            epochs={int(name): self._read_epoch(int(name)) for name in self._storage.list(_EPOCHS) if name.isdigit()},
            committed=frozenset(candidate for candidate, inside in marked.items() if COMMITTED in inside),
            retired=retired,
            directories=frozenset(directories),
            files=files,
        )

    def _read_manifest(self, candidate: Candidate, directory: str) -> Manifest | Unreadable:
        known = self._manifests.get(candidate)
        if known is None:
            path = f"{directory}/{MANIFEST_NAME}"
            try:
                read = parse_manifest(self._storage.read(path), location_of(self._storage.location, path))
            except (*GONE, DamagedStateError) as error:
                return Unreadable(str(error))
            known = self._manifests[candidate] = _manifest(Candidate(read.checkpoint_id, read.generation), read)
        return known

    def _read_start(self, generation: int) -> Start | Unreadable:
        try:
            content = self._read(start_name(generation))
            return Start(generation, tuple(Candidate(int(n), int(g)) for n, g in content["kept"]))
        except (*GONE, DamagedStateError) as error:
            return Unreadable(str(error))

    def _read_epoch(self, checkpoint_id: int) -> Epoch | Unreadable:
        try:
            content = self._read(epoch_name(checkpoint_id))
            return Epoch(Candidate(checkpoint_id, int(content["generation"])), int(content["parent"]))
        except (*GONE, DamagedStateError) as error:
            return Unreadable(str(error))

    def _create(self, name: str, **content: Any) -> None:
        self._storage.create(name, b"".join(_FRAMING.seal(json.dumps(content).encode(), name.encode())))

    def _read(self, name: str) -> Any:
        place = location_of(self._storage.location, name)
        return json.loads(_FRAMING.open(self._storage.read(name), place, name.encode()))


def _manifest(candidate: Candidate, manifest: checkpoint_pb2.CheckpointManifest) -> Manifest:
    """What the protocol needs to know of a manifest: paths are below the job's directory."""
    directory = checkpoint_name(*candidate)
    files = frozenset(posixpath.normpath(f"{directory}/{file.path}") for _, file in state_files(manifest))
    return Manifest(candidate, manifest.parent_id, files)
