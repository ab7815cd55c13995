"""What can happen to a file while nobody looks: a flipped bit, a lost tail, a lost page, another file in its place."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

PAGE_BYTES: Final = 4096
KINDS: Final = {"flip": 84, "truncate": 4, "zero": 4, "swap": 4, "missing": 4}
"""By weight. ``flip``: one bit; ``zero``: one page, or what there is of it."""


class Files(Protocol):
    """Files that can be changed, by name."""

    def read(self, name: str) -> bytes: ...

    def put(self, name: str, data: bytes | None) -> None:
        """None: remove it."""
        ...


class DirectoryFiles:
    """Those in a directory and below."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def names(self) -> list[str]:
        return sorted(str(path.relative_to(self.directory)) for path in self.directory.rglob("*") if path.is_file())

    def read(self, name: str) -> bytes:
        return (self.directory / name).read_bytes()

    def put(self, name: str, data: bytes | None) -> None:
        path = self.directory / name
        path.unlink(missing_ok=True)  # other names of the same file keep what it was
        if data is not None:
            path.write_bytes(data)


class MemoryFiles:
    """The values of a dict."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def read(self, name: str) -> bytes:
        return self.files[name]

    def put(self, name: str, data: bytes | None) -> None:
        if data is None:
            self.files.pop(name, None)
        else:
            self.files[name] = data


@dataclass(frozen=True)
class Damage:
    """``names``: of the file, and with ``swap`` of the other one. ``at``: the bit, or the length, or the first byte."""

    kind: str
    names: tuple[str, ...]
    at: int = 0

    def __str__(self) -> str:
        return f"{self.kind} {' '.join(self.names)} at {self.at}"


def choose_damage(files: Files, names: list[str], chance: random.Random, kinds: dict[str, int] = KINDS) -> Damage:
    """Some damage to one of the files, each as likely as any other, that changes its bytes."""
    while True:
        name = chance.choice(names)
        data = files.read(name)
        kind = chance.choices(list(kinds), list(kinds.values()))[0]
        if not data:
            continue
        match kind:
            case "flip":
                return Damage(kind, (name,), chance.randrange(len(data) * 8))
            case "truncate":
                return Damage(kind, (name,), chance.randrange(len(data)))
            case "zero":
                at = chance.randrange(-(-len(data) // PAGE_BYTES)) * PAGE_BYTES
                if any(data[at : at + PAGE_BYTES]):
                    return Damage(kind, (name,), at)
            case "swap":
                other = chance.choice(names)
                if files.read(other) != data:
                    return Damage(kind, (name, other))
            case "missing":
                return Damage(kind, (name,))


@contextmanager
def damaged(files: Files, damage: Damage) -> Iterator[None]:
    """Inside, the files are damaged; after it they are as before."""
    before = {name: files.read(name) for name in damage.names}
    name = damage.names[0]
    data = before[name]
    match damage.kind:
        case "flip":
            changed = bytearray(data)
            changed[damage.at // 8] ^= 1 << damage.at % 8
            after: dict[str, bytes | None] = {name: bytes(changed)}
        case "truncate":
            after = {name: data[: damage.at]}
        case "zero":
            page = data[damage.at : damage.at + PAGE_BYTES]
            after = {name: data[: damage.at] + bytes(len(page)) + data[damage.at + len(page) :]}
        case "swap":
            after = {name: before[damage.names[1]], damage.names[1]: data}
        case _:
            after = {name: None}
    try:
        for changed_name, content in after.items():
            files.put(changed_name, content)
        yield
    finally:
        for changed_name, content in before.items():
            files.put(changed_name, content)
