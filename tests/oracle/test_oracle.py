"""Every checkpoint of jobs that run in a cluster holds exactly the fold of its input, and a broken one is noticed."""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from millstream.client.job_client import JobClient
from millstream.core.api.job import JobStatus
from millstream.core.checkpoint.manifest import MANIFEST_NAME, write_manifest
from millstream.core.checkpoint.storage import LocalStorage
from millstream.proto.v1 import checkpoint_pb2
from millstream.testing import MiniCluster
from tests.chaos.job import Load
from tests.chaos.rescaling import rescale_by_savepoint, rescale_live
from tests.chaos.variants import CLUSTER, UNALIGNED, VARIANTS
from tests.oracle.check import Checked, check_checkpoints
from tests.oracle.keeping import Keeper, kept_checkpoints
from tests.oracle.tampering import Tampered

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

VARIED = {
    **{name: (VARIANTS[name], {}) for name in ("aligned", "unaligned-rocksdb", "timeout", "regions")},
    "unchained": (VARIANTS["unaligned"], {**UNALIGNED, "pipeline.operator-chaining.enabled": False}),
    **{
        name: (VARIANTS[name], {})
        for name in ("rescaling-unaligned", "rescaling-timeout-rocksdb", "sql", "rescaling-sql-rocksdb")
    },
    "sql-unaligned": (VARIANTS["sql"], UNALIGNED),
}
PARALLELISM = 3
CHECKPOINTS = 8
WAIT_S = 90.0


class Oracle:
    """A cluster and the checkpoints of its jobs."""

    def __init__(self, mini: MiniCluster, directory: Path) -> None:
        self.mini = mini
        self._directory = directory

    def run(self, name: str) -> tuple[Path, Load, Checked]:
        """Run a job to its end, with a slot killed on the way: the kept checkpoints, what they are of, the verdict."""
        variant, settings = VARIED[name]
        load = Load(self._directory / name, pressure=variant.pressure, regions=variant.regions, sql=variant.sql)
        load.directory.mkdir()
        kept = self._directory / f"{name} kept"

        def submit(parallelism: int, more: dict[str, Any]) -> JobClient:
            return self.mini.submit(load.environment(parallelism, {**variant.settings, **settings, **more}), name)

        with kept_checkpoints(self._directory / "checkpoints", kept) as keeper:
            job = submit(PARALLELISM, {})
            self._wait_for(job, CHECKPOINTS)
            self.mini.kill_slot(0)
            if variant.rescales:
                job = rescale_by_savepoint(job, PARALLELISM - 1, load.directory, submit)
                rescale_live(job, PARALLELISM + 1)
            self._wait_for(job, CHECKPOINTS)
            load.finish.touch()
            ended = job.wait_until_ended([], WAIT_S)
        assert ended is not None and JobStatus(ended.summary.status) is JobStatus.FINISHED, ended
        checked = check_checkpoints([kept, load.directory / "savepoints"], load)
        checked.problems += keeper.problems
        return kept, load, checked

    def _wait_for(self, job: JobClient, checkpoints: int) -> None:
        before = job.describe().checkpoints.completed
        self.mini.wait_until(
            lambda: job.describe().checkpoints.completed >= before + checkpoints, "checkpoints", WAIT_S
        )


@pytest.fixture(scope="module")
def nothing_left_running() -> None:
    """A cluster outlives a test here, with other processes."""


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    with tempfile.TemporaryDirectory(prefix="oracle-") as temporary:
        directory = Path(temporary)
        settings = {
            **CLUSTER,
            "io.tmp.dirs": str(directory / "cluster"),
            "execution.checkpointing.dir": str(directory / "checkpoints"),
        }
        with MiniCluster(3, 2, settings) as mini:
            yield Oracle(mini, directory)


@pytest.mark.parametrize("name", VARIED)
def test_every_checkpoint_is_the_fold_of_its_input(oracle: Oracle, name: str) -> None:
    _, load, checked = oracle.run(name)
    assert not checked.problems, "\n".join(checked.problems[:10])
    assert checked.checkpoints >= CHECKPOINTS
    assert checked.prepared
    assert bool(checked.in_flight) == (load.pressure or name == "sql-unaligned")


TAMPERINGS: dict[str, Callable[[Tampered], bool]] = {
    "a batch in flight is dropped": Tampered.drop_a_batch,
    "batches in flight change places": Tampered.reverse_batches,
    "a channel's batches are dropped": Tampered.drop_a_channel,
    "an offset is one too high": lambda tampered: tampered.shift_an_offset(1),
    "an offset is one too low": lambda tampered: tampered.shift_an_offset(-1),
    "a split is in two places": Tampered.repeat_a_split,
    "a row is lost": Tampered.drop_a_row,
    "a window is lost": Tampered.drop_a_window,
    "a watermark is too high": Tampered.raise_the_watermark,
    "a file to commit is forgotten": Tampered.forget_a_file,
}


OF_QUERIES: dict[str, Callable[[Tampered], bool]] = {
    "a batch in flight is dropped": Tampered.drop_a_batch,
    "an offset is one too high": lambda tampered: tampered.shift_an_offset(1),
    "a count is lost": lambda tampered: tampered.drop_a_row("counts", "frames"),
    "a row that waits is lost": lambda tampered: tampered.drop_a_row("counts", "rows"),
    "a window is lost": lambda tampered: tampered.drop_a_row("windows", "windows"),
    "a watermark is too high": Tampered.raise_the_watermark,
    "a file to commit is forgotten": Tampered.forget_a_file,
}
Kept = Callable[[str], tuple[list[Path], Load]]


@pytest.fixture(scope="module")
def kept(oracle: Oracle) -> Kept:
    """``kept(variant)``: sound checkpoints with batches in flight; the job runs once."""

    @functools.cache
    def run(variant: str) -> tuple[list[Path], Load]:
        name = f"{variant} to be tampered with"
        VARIED[name] = (replace(VARIANTS[variant], name=name), UNALIGNED)
        directory, load, checked = oracle.run(name)
        assert checked.in_flight and not checked.problems
        found = [path.parent for path in directory.rglob(MANIFEST_NAME)]
        return sorted(found, key=lambda path: int(path.name.split("-")[1])), load

    return run


@pytest.mark.parametrize("what", TAMPERINGS)
def test_a_broken_checkpoint_is_noticed(kept: Kept, what: str, tmp_path: Path) -> None:
    check_that_it_is_noticed(TAMPERINGS[what], *kept("unaligned"), tmp_path)


@pytest.mark.parametrize("what", OF_QUERIES)
def test_a_broken_checkpoint_of_queries_is_noticed(kept: Kept, what: str, tmp_path: Path) -> None:
    check_that_it_is_noticed(OF_QUERIES[what], *kept("sql"), tmp_path)


def check_that_it_is_noticed(
    tampering: Callable[[Tampered], bool], checkpoints: list[Path], load: Load, tmp_path: Path
) -> None:
    """The first checkpoint of the second half in which there is something to be broken."""
    for place in range(len(checkpoints) // 2, len(checkpoints)):
        job = tmp_path / str(place)
        for directory in [*checkpoints[place - 1 : place + 1], checkpoints[place].parent / "shared"]:
            shutil.copytree(directory, job / directory.name)
        tampered = Tampered(job / checkpoints[place].name)
        if not tampering(tampered):
            continue
        tampered.save()
        checked = check_checkpoints([job], load)
        assert checked.checkpoints == 2
        assert checked.problems, f"not noticed in {checkpoints[place].name}"
        for problem in checked.problems:
            assert problem.startswith(checkpoints[place].name) and "cannot be read" not in problem, problem
        return
    pytest.fail("no checkpoint has what could be broken")


@pytest.mark.parametrize(("claimed_by", "noticed"), [(2, True), (3, False), (None, False)])
def test_a_file_is_missing_only_from_checkpoints_that_count(
    tmp_path: Path, claimed_by: int | None, noticed: bool
) -> None:
    """A leader that was frozen may have written the manifest when the next one had removed the files."""
    directory = tmp_path / "checkpoints" / "job" / "chk-7-g2"
    directory.mkdir(parents=True)
    vertex = checkpoint_pb2.VertexState(subtasks=[checkpoint_pb2.SubtaskState()])
    vertex.subtasks[0].files.add(path="gone.state", length=1)
    manifest = checkpoint_pb2.CheckpointManifest(job_id="job", checkpoint_id=7, vertices=[vertex])
    write_manifest(LocalStorage(directory), manifest)
    if claimed_by is not None:
        (directory.parent / "epochs").mkdir()
        (directory.parent / "epochs" / "7").write_bytes(b"frame" + json.dumps({"generation": claimed_by}).encode())
    keeper = Keeper(tmp_path / "checkpoints", tmp_path / "kept")
    keeper.look()
    assert bool(keeper.problems) is noticed
