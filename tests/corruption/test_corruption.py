"""No changed bit of a manifest, a state file or a record is believed; the message names the file.

``python -m tests.corruption`` tries many more.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from millstream.core.api.job import JobStatus
from millstream.core.checkpoint import manifest as manifests
from millstream.core.checkpoint.manifest import MANIFEST_NAME, parse_manifest, state_files
from millstream.core.errors import DamagedStateError
from millstream.testing import MiniCluster
from tests.chaos.job import Load
from tests.chaos.variants import VARIANTS
from tests.corruption.corpus import STREAMS, Corpus
from tests.corruption.damage import Damage, DirectoryFiles, choose_damage, damaged
from tests.corruption.trial import try_damage, try_damages

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

TRIES = 600
SEED = 1
WAIT_S = 90.0


def test_every_damage_is_noticed(corpus: Corpus) -> None:
    outcome = try_damages(corpus.targets, TRIES, SEED)
    assert not outcome.missed, "\n".join(
        [f"again: python -m tests.corruption --tries {TRIES} --seed {SEED}", *outcome.missed]
    )
    assert len({kind for _, kind in outcome.tried}) == 5
    assert {target for target, _ in outcome.tried} == {target.kind for target in corpus.targets}


def test_every_byte_of_a_manifest_counts(corpus: Corpus) -> None:
    path = corpus.checkpoints["in flight"] / MANIFEST_NAME
    whole = path.read_bytes()
    chance = random.Random(SEED)
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1 << chance.randrange(8)
        with pytest.raises(DamagedStateError, match=str(path)):
            parse_manifest(bytes(changed), str(path))


def test_the_trial_notices_what_the_product_does_not(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    target = next(target for target in corpus.targets if target.kind == "in flight")
    state = next(name for name in target.names if name.endswith(".state"))
    damage = Damage("flip", (state,), 8 * len(target.files.read(state)) - 1)
    assert try_damage(target, damage) == ""
    monkeypatch.setattr(manifests, "checked", lambda data, *place: data)
    assert try_damage(target, damage) != ""


@pytest.mark.parametrize("kind", [*STREAMS, *(f"savepoint, {kind}" for kind in STREAMS)])
def test_a_job_does_not_start_from_what_is_damaged(corpus: Corpus, mini: MiniCluster, kind: str) -> None:
    """In a cluster, whatever file it is: the job fails by that, and shows no record."""
    directory = corpus.checkpoints[kind]
    stream = kind.removeprefix("savepoint, ")
    load = corpus.loads[stream]
    files = DirectoryFiles(directory.parent)
    manifest = parse_manifest((directory / MANIFEST_NAME).read_bytes(), str(directory))
    parts = {(directory / file.path).resolve() for _, file in state_files(manifest) if file.length}
    names = [str(part.relative_to(directory.parent.resolve())) for part in sorted(parts)]
    chance = random.Random(f"{SEED} {kind}")
    before = load.committed()
    for chosen in ([f"{directory.name}/{MANIFEST_NAME}"], names, names):
        damage = choose_damage(files, chosen, chance, {"flip": 1})
        with damaged(files, damage):
            told = start(
                mini, load, {**VARIANTS[STREAMS[stream]].settings, "execution.state-recovery.path": str(directory)}
            )
        assert Path(damage.names[0]).name in told, (damage, told)
        assert load.committed() == before, damage


def start(mini: MiniCluster, load: Load, settings: dict[str, Any]) -> str:
    """Why the job is refused, or fails."""
    try:
        job = mini.submit(load.environment(2, {**settings, "restart-strategy.type": "none"}), "restored")
    except DamagedStateError as error:
        return error.message
    details = job.wait_until_ended([], WAIT_S)
    assert details is not None and JobStatus(details.summary.status) is JobStatus.FAILED, details
    return details.error.message
