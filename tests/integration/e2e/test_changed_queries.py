"""A changed query starts from a savepoint: what it keeps is shown, and what does not fit refused, before it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

QUERY = """
SET 'pipeline.name' = 'sums';
SET 'parallelism.default' = '1';
CREATE TABLE g (n {number}) WITH ('connector' = 'datagen', 'rows-per-second' = '2000',
  'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '1000000');
CREATE TABLE sums (k {number}, total {number}) WITH ('connector' = 'blackhole');
{statement} INSERT INTO sums SELECT MOD(n, 10), {call} FROM g GROUP BY MOD(n, 10);
"""


@pytest.fixture
def savepoint(shell: Any, cluster: Any, until: Callable[..., Any]) -> str:
    shell.run("sql", "-f", script(shell, "first.sql")).expect(0)
    until(lambda: any(job["subtasks_running"] for job in cluster.jobs()), "a running job")
    return str(shell.run("stop", "sums", "--savepoint", str(shell.directory / "kept")).expect(0).out.strip())


def script(shell: Any, name: str, number: str = "BIGINT", call: str = "MAX(n)", statement: str = "") -> str:
    (shell.directory / name).write_text(QUERY.format(number=number, call=call, statement=statement))
    return name


def test_what_a_changed_query_keeps_is_shown_and_what_does_not_fit_refused(
    shell: Any, cluster: Any, savepoint: str
) -> None:
    restore = ("--from-savepoint", savepoint)

    same = shell.run("savepoint", "diff", savepoint, script(shell, "same.sql")).expect(0).out
    assert savepoint in same and "VERDICT" in same
    verdicts = {line.split("  ")[0]: line for line in same.splitlines()}
    (aggregate,) = [line for name, line in verdicts.items() if name.startswith("GroupAggregate(")]
    assert "groups" in aggregate and aggregate.endswith("kept") and "refused" not in same

    # Another type under the same query.
    wider = shell.run("sql", *restore, "-f", script(shell, "wider.sql", "INT"))
    assert wider.code != 0 and "'groups' of GroupAggregate" in wider.err
    assert "MAX(n) BIGINT by" in wider.err and "MAX(n) INT by" in wider.err
    assert len(cluster.jobs()) == 1, "nothing was deployed"

    # Another aggregate: another operator. EXPLAIN tells without running it.
    explained = shell.run(
        "sql", *restore, "-f", script(shell, "e.sql", call="SUM(n)", statement="EXPLAIN STATE_RECOVERY")
    )
    told = explained.expect(0).out
    assert "== State Recovery ==" in told and "new, starts empty" in told and "no longer in the job: refused" in told
    other = script(shell, "other.sql", call="SUM(n)")
    assert "--allow-non-restored-state" in shell.run("sql", *restore, "-f", other).err
    assert len(cluster.jobs()) == 1
    started = shell.run("sql", *restore, "--allow-non-restored-state", "-f", other).expect(0)
    assert "new, starts empty" in started.err and "no longer in the job: dropped" in started.err
    shell.run("cancel", "sums").expect(0)


def test_a_program_is_compared_by_its_uids(shell: Any, savepoint: str) -> None:
    program = shell.script(
        'env.from_collection([1]).key_by(lambda n: n).reduce(max).uid("mine").print()\nenv.execute("p")\n'
    )
    told = shell.run("savepoint", "diff", savepoint, program).expect(0).out
    assert "no longer in the job: refused" in told and "GroupAggregate" in told
    missing = shell.run("savepoint", "diff", str(Path(savepoint).parent), program)
    assert missing.code != 0 and "there is no checkpoint" in missing.err
