"""Runs seeds one after the other, or shared out to several processes."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final

from millstream.taskmanager.fork_server import die_with_parent
from tests.sim.world import Outcome, World

SEEDS_A_CHUNK: Final = 10
CHUNKS_A_PROCESS: Final = 15
"""Something of each seed stays in memory, and is looked at again by each garbage collection."""


def outcomes(seeds: range, jobs: int, verbose: bool) -> Iterator[Outcome]:
    if jobs == 1:
        _prepare(verbose)
        yield from map(_run, seeds)
        return
    chunks = [seeds[start : start + SEEDS_A_CHUNK] for start in range(0, len(seeds), SEEDS_A_CHUNK)]
    for start in range(0, len(chunks), jobs * CHUNKS_A_PROCESS):
        with ProcessPoolExecutor(jobs, get_context("spawn"), _begin_worker, (verbose,)) as pool:
            for outcomes in pool.map(_run_all, chunks[start : start + jobs * CHUNKS_A_PROCESS]):
                yield from outcomes


def _begin_worker(verbose: bool) -> None:
    die_with_parent()
    _prepare(verbose)


def _prepare(verbose: bool) -> None:
    if not verbose:
        logging.disable(logging.CRITICAL)
    gc.collect()
    gc.freeze()
    gc.disable()  # after each seed everything is collected, and no seed is long


def _run(seed: int) -> Outcome:
    return World(seed).run()


def _run_all(seeds: Iterable[int]) -> list[Outcome]:
    return [_run(seed) for seed in seeds]
