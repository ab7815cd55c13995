"""Copies of state files on the own disk: used when they are whole, never believed when they are not."""

from __future__ import annotations

from pathlib import Path

from millstream.core.checkpoint.local_copies import CopyingStorage, LocalCopies
from millstream.core.checkpoint.storage import LocalStorage

OWNER = "-v-0-"


def storages(tmp_path: Path) -> tuple[LocalStorage, CopyingStorage, LocalCopies]:
    remote = LocalStorage(tmp_path / "far" / "job")
    copies = LocalCopies(tmp_path / "near", remote.location)
    return remote, CopyingStorage(remote, copies), copies


def test_a_copy_is_read_instead_of_the_storage(tmp_path: Path) -> None:
    remote, copying, copies = storages(tmp_path)
    copying.write("shared/1-v-0-a", [b"abc", b"def"])
    (tmp_path / "file").write_bytes(b"taken")
    copying.take(tmp_path / "file", "shared/1-v-0-b")
    assert remote.read("shared/1-v-0-a") == b"abcdef" and remote.read("shared/1-v-0-b") == b"taken"
    (tmp_path / "far" / "job" / "shared" / "1-v-0-a").write_bytes(b"ABCDEF")
    again = CopyingStorage(LocalStorage(tmp_path / "far" / "job" / "chk-1-g1"), copies)
    assert again.read("../shared/1-v-0-a", 2, 3) == b"cde"
    again.fetch("../shared/1-v-0-b", tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == b"taken"


def test_a_copy_that_is_not_whole_is_not_used(tmp_path: Path) -> None:
    _, copying, copies = storages(tmp_path)
    copying.write("shared/1-v-0-a", [b"abc"])
    (copy,) = (path for path in (tmp_path / "near").iterdir() if path.suffix != ".json")
    for damage in (b"abd", b"ab", None):
        if damage is None:
            copy.unlink()
        else:
            copy.write_bytes(damage)
        fresh = LocalCopies(tmp_path / "near", copying.location)
        assert not fresh.whole(copy) and CopyingStorage(copying, fresh).read("shared/1-v-0-a") == b"abc"
    assert copies.path_of("/elsewhere/shared/x") is None


def test_what_the_last_two_checkpoints_do_not_need_goes(tmp_path: Path) -> None:
    _, copying, copies = storages(tmp_path)
    for number in (1, 2, 3):
        copying.write(f"shared/{number}-v-0-a", [b"x"])
        copies.keep(OWNER, [f"{copying.location}/shared/{number}-v-0-a"])
    copying.write("shared/1-v-1-a", [b"x"])
    names = sorted(path.name for path in (tmp_path / "near").iterdir() if path.suffix != ".json")
    assert names == ["shared+1-v-1-a", "shared+2-v-0-a", "shared+3-v-0-a"]
    fresh = LocalCopies(tmp_path / "near", copying.location)
    fresh.keep(OWNER, [f"{copying.location}/shared/3-v-0-a"])
    assert sorted(path.name for path in (tmp_path / "near").glob("*-v-0-a")) == ["shared+3-v-0-a"]
