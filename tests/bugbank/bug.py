"""What a planted bug is: edits of the product's source, and who has to notice. Plain data; imports nothing of ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
VARIABLE: Final = "BUGBANK"
"""The environment variable that names the bug which every process plants in itself."""


@dataclass(frozen=True)
class Edit:
    """In ``module``, ``old`` becomes ``new``. ``old`` stands there exactly once."""

    module: str
    old: str
    new: str

    @property
    def file(self) -> Path:
        """Where the module is in this tree."""
        component = self.module.split(".")[1]
        for root in (component, "client"):
            path = ROOT / root / Path(*self.module.split("."))
            if path.with_suffix(".py").exists():
                return path.with_suffix(".py")
        raise FileNotFoundError(f"there is no module {self.module}")

    def apply(self, source: str) -> str:
        """``ValueError`` when the source has changed, and the bug has to be planted in another way."""
        if source.count(self.old) != 1:
            raise ValueError(f"{self.module} has {source.count(self.old)} times, not once:\n{self.old}")
        return source.replace(self.old, self.new)


@dataclass(frozen=True)
class Catcher:
    """A command that fails when the bug is there: arguments of Python, or of pytest.

    ``reason``: a regular expression that its output must match then, so that it has failed because of the bug.
    """

    name: str
    arguments: tuple[str, ...]
    reason: str
    timeout_s: float = 300.0

    @property
    def command(self) -> str:
        return f"python {' '.join(self.arguments)}"


@dataclass(frozen=True)
class Bug:
    """``catchers``: the cheapest first. ``in_ci``: its first catcher takes seconds."""

    name: str
    story: str
    edits: tuple[Edit, ...]
    catchers: tuple[Catcher, ...] = field(default=())
    in_ci: bool = False

    def planted(self) -> dict[str, str]:
        """The source of each module with the bug in it. ``ValueError`` when it cannot be planted."""
        sources: dict[str, str] = {}
        for edit in self.edits:
            before = sources.get(edit.module) or edit.file.read_text()
            sources[edit.module] = edit.apply(before)
            if sources[edit.module] == before:
                raise ValueError(f"an edit of {edit.module} changes nothing")
        for module, source in sources.items():
            try:
                compile(source, module, "exec")
            except SyntaxError as error:
                raise ValueError(f"{module} cannot be compiled any more: {error}") from error
        return sources


def chaos(variant: str, faults: str, reason: str, seed: int = 1) -> Catcher:
    """A round with these faults: its output, its checkpoints and its protocol log are looked at."""
    how = ("--seed", str(seed), "--variant", variant, "--plain", "--faults", faults)
    return Catcher(f"chaos {variant}: {faults}", ("-m", "tests.chaos", *how), reason)


def oracle(name: str, reason: str = r"(chk-\d+-g\d+|savepoint-\w+-\w+)[^\n]*: ") -> Catcher:
    """A job whose every checkpoint is held against the fold of its input."""
    test = f"tests/oracle/test_oracle.py::test_every_checkpoint_is_the_fold_of_its_input[{name}]"
    return Catcher(f"oracle {name}", _pytest(test), reason)


def simulation(seed: int, reason: str) -> Catcher:
    """A simulated cluster."""
    return Catcher(f"simulation {seed}", ("-m", "tests.sim", "--seed", str(seed), "--seeds", "1"), reason)


def tests(path: str, reason: str = "assert|DID NOT RAISE", chosen: str = "") -> Catcher:
    """Tests of a file, or those of them that ``chosen`` matches."""
    told = f"{path} -k {chosen!r}" if chosen else path
    return Catcher(told, _pytest(*path.split(), *(("-k", chosen) if chosen else ())), reason)


def _pytest(*arguments: str) -> tuple[str, ...]:
    """Only the catcher's own time counts: the bank may run beside other things."""
    return ("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--timeout=0", "--tb=short", *arguments)
