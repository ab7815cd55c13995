"""All answers for a session of tests: each job runs when its first case is asked for."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.differential.case import Case
from tests.differential.oracle import Oracle
from tests.differential.rows import Rows, difference
from tests.differential.runs import Run, Runner

PACK_CASES: Final = 16
ORACLE: Final = "duckdb"
RUNS: Final = (ORACLE, Run.ROCKSDB.value, Run.RESTORED.value)
ALL_RUNS: Final = (*RUNS, Run.RESTORED_ROCKSDB.value)
SAMPLED: Final = 12


def runs_of(case: Case, all_runs: bool) -> tuple[str, ...]:
    """What the case is compared with."""
    wanted = ALL_RUNS if all_runs else RUNS
    return tuple(run for run in wanted if not (case.not_restored and run.startswith("restored")))


def chosen(cases: Sequence[Case], seed: int) -> set[str]:
    """Names of cases for the runs that take long: the first of each theme's, and a sample by ``seed``."""
    first: dict[str, str] = {}
    for case in cases:
        first.setdefault(case.theme, case.name)
    rest = [case.name for case in cases if case.name not in first.values()]
    return {*first.values(), *random.Random(seed).sample(rest, min(SAMPLED, len(rest)))}


@dataclass
class Pack:
    """Cases that run as one job; ``outcomes`` by run and name: rows, or what the job failed with."""

    cases: list[Case]
    outcomes: dict[Run, dict[str, Rows | Exception]] = field(default_factory=dict)


class Suite:
    """``cases`` by run: those that will be asked for, so that they run together."""

    def __init__(self, runner: Runner, oracle: Oracle, cases: dict[Run, list[Case]]) -> None:
        self._runner = runner
        self._oracle = oracle
        self._packs: dict[Run, dict[str, Pack]] = {}
        for run, wanted in cases.items():
            by_settings: dict[tuple[tuple[str, str], ...], list[Case]] = {}
            for case in wanted:
                by_settings.setdefault(case.settings, []).append(case)
            packs: dict[str, Pack] = {}
            for group in by_settings.values():
                for start in range(0, len(group), PACK_CASES):
                    pack = Pack(group[start : start + PACK_CASES])
                    packs.update({case.name: pack for case in pack.cases})
            self._packs[run] = packs

    def compare(self, case: Case, run: str) -> str:
        """What differs between the clean run and another; empty if nothing does. Raises what a run failed with."""
        clean = self._rows(case, Run.CLEAN)
        negative = [row for row, count in clean.items() if count < 0]
        if negative:
            return f"retracted, but never inserted: {negative[:3]}"
        if run == ORACLE:
            other = "the reference" if case.reference is not None else "DuckDB"
            return difference(self._oracle.rows(case), clean, other, "Millstream")
        return difference(clean, self._rows(case, Run(run)), "the clean run", f"the {run} run")

    def _rows(self, case: Case, run: Run) -> Rows:
        pack = self._packs[run][case.name]
        if run not in pack.outcomes:
            pack.outcomes[run] = self._run(pack.cases, run)
        outcome = pack.outcomes[run][case.name]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _run(self, cases: list[Case], run: Run) -> dict[str, Rows | Exception]:
        """Those that cannot be planned are left out; when a job fails, halves of it tell whose fault it is."""
        failed: dict[str, Rows | Exception] = {}
        planned = []
        for case in cases:
            try:
                self._runner.check(case)
                planned.append(case)
            except Exception as error:
                failed[case.name] = error
        return {**failed, **self._run_halves(planned, run)}

    def _run_halves(self, cases: list[Case], run: Run) -> dict[str, Rows | Exception]:
        if not cases:
            return {}
        try:
            return {**self._runner.run(cases, run)}
        except Exception as error:
            if len(cases) == 1:
                return {cases[0].name: error}
        half = len(cases) // 2
        return {**self._run_halves(cases[:half], run), **self._run_halves(cases[half:], run)}
