"""Keeps the checkpoints of running jobs, which remove them soon: by links, so that it costs next to nothing."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from millstream.core.checkpoint.manifest import MANIFEST_NAME, parse_manifest, state_files
from millstream.jobmanager.checkpointing.history import epoch_name

INTERVAL_S: Final = 0.02


class Keeper:
    """Links what is complete below ``source`` (``<job>/chk-*``) into ``target``, which is on the same disk.

    ``problems``: checkpoints that count and lack files.
    """

    def __init__(self, source: Path, target: Path) -> None:
        self.problems: list[str] = []
        self._source = source
        self._target = target

    def look(self) -> None:
        """Keep what has come since the last time."""
        manifests: list[Path] = []
        with suppress(FileNotFoundError):  # a directory was removed while it was listed
            manifests = sorted(self._source.glob(f"*/chk-*/{MANIFEST_NAME}"))
        for manifest in manifests:
            kept = self._target / manifest.relative_to(self._source)
            if not kept.exists():
                with suppress(OSError):  # the disk is full, or read-only: later
                    self._keep(manifest, kept)

    def _keep(self, manifest: Path, kept: Path) -> None:
        try:
            data = manifest.read_bytes()
        except FileNotFoundError:
            return
        for _, file in state_files(parse_manifest(data, str(manifest))):
            target = Path(os.path.normpath(kept.parent / file.path))
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(os.path.normpath(manifest.parent / file.path), target)
            except FileExistsError:
                continue
            except FileNotFoundError as error:
                if manifest.exists() and _is_claimed(manifest.parent):  # a checkpoint goes by its manifest first
                    self.problems.append(f"{manifest.parent.name} counts and lacks a file: {error.filename}")
                return
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = kept.with_name(f".{kept.name}")
        draft.write_bytes(data)
        draft.replace(kept)


def record_of(data: bytes) -> dict[str, int]:
    """A record of the ledger, without its frame."""
    record: dict[str, int] = json.loads(data[data.rindex(b"{") :])
    return record


def _is_claimed(checkpoint: Path) -> bool:
    """A leader that was frozen may write a manifest when the next one has removed the rest: it counts for nothing."""
    number, generation = re.findall(r"\d+", checkpoint.name)
    try:
        claim = (checkpoint.parent / epoch_name(int(number))).read_bytes()
    except FileNotFoundError:
        return False
    return record_of(claim)["generation"] == int(generation)


@contextmanager
def kept_checkpoints(source: Path, target: Path) -> Iterator[Keeper]:
    """While the block runs, a thread keeps every checkpoint that it sees."""
    keeper = Keeper(source, target)
    over = threading.Event()

    def watch() -> None:
        while not over.wait(INTERVAL_S):
            keeper.look()

    thread = threading.Thread(target=watch, name="keeper of checkpoints")
    thread.start()
    try:
        yield keeper
    finally:
        over.set()
        thread.join()
        keeper.look()
