"""Damages the corpus again and again, and counts what the product noticed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from millstream.core.errors import MillstreamError
from tests.corruption.damage import Damage, choose_damage, damaged
from tests.corruption.targets import Target


@dataclass
class Outcome:
    """``tried`` and ``detected`` by kind of target and kind of damage; ``missed`` tells of each that was not."""

    tried: Counter[tuple[str, str]] = field(default_factory=Counter)
    detected: Counter[tuple[str, str]] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        def line(kind: str, chosen: list[tuple[str, str]]) -> str:
            return f"{sum(self.detected[key] for key in chosen)} of {sum(self.tried[key] for key in chosen)} {kind}"

        by_damage = [line(kind, [key for key in self.tried if key[1] == kind]) for kind in _kinds(self.tried, 1)]
        by_target = [line(kind, [key for key in self.tried if key[0] == kind]) for kind in _kinds(self.tried, 0)]
        return f"{'; '.join(by_damage)}\n{'; '.join(by_target)}\n{line('detected', list(self.tried))}"


def try_damages(targets: Sequence[Target], tries: int, seed: int) -> Outcome:
    """Each target is as likely as any other."""
    chance = random.Random(seed)
    outcome = Outcome()
    for target in targets:
        target.read()  # sound before anything is damaged
    for _ in range(tries):
        target = chance.choice(targets)
        damage = choose_damage(target.files, target.names, chance, target.kinds)
        key = target.kind, damage.kind
        outcome.tried[key] += 1
        told = try_damage(target, damage)
        if told:
            outcome.missed.append(f"{target.kind}: {damage}: {told}")
        else:
            outcome.detected[key] += 1
    return outcome


def try_damage(target: Target, damage: Damage) -> str:
    """Empty if the product noticed, and named a file; else what happened."""
    with damaged(target.files, damage):
        try:
            target.read()
        except MillstreamError as error:
            names = {PurePath(name).name for name in damage.names}
            return "" if any(name in error.message for name in names) else f"names no file: {error.message}"
        except Exception as error:
            return f"raises {type(error).__name__}: {error}"
    return "unnoticed"


def _kinds(tried: Counter[tuple[str, str]], place: int) -> list[str]:
    return sorted({key[place] for key in tried})
