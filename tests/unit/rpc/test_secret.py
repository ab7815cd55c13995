"""The cluster secret: where it comes from, who may read it, what it signs."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from millstream.core.clock import ManualClock
from millstream.core.config import load, options
from millstream.core.errors import AuthenticationError, ConfigError, MillstreamError
from millstream.core.rpc.secret import WINDOW_MS, ClusterSecret
from millstream.core.rpc.server import bind, create_server, is_loopback
from millstream.jobmanager.main import load_secret

SECRET = ClusterSecret(b"a secret of sixteen")
METHOD = "/millstream.proto.v1.Dispatcher/ListJobs"
NOW_MS = 1_000_000_000


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_missing_file_is_made_for_its_owner_alone(tmp_path: Path, umask: int) -> None:
    file = tmp_path / "new" / "secret"
    before = os.umask(umask)
    try:
        made = ClusterSecret.load(None, file, create=True)
    finally:
        os.umask(before)
    assert mode_of(file) == 0o600 and not mode_of(file.parent) & 0o077
    assert made is not None and len(file.read_text().strip()) == 64
    read = ClusterSecret.load(None, file, create=True)
    assert read is not None and read.job_token("j") == made.job_token("j"), "it is made once"


def test_no_file_is_made_unless_asked(tmp_path: Path) -> None:
    assert ClusterSecret.load(None, tmp_path / "secret", create=False) is None
    assert ClusterSecret.load(None, None, create=True) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604, 0o601])
def test_a_file_that_others_may_read_is_refused_with_the_command_that_helps(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "secret"
    file.write_text("a secret of sixteen\n")
    file.chmod(mode)
    with pytest.raises(ConfigError, match=rf"may be read by others \(mode {mode:04o}\)\. Run: chmod 600 {file}"):
        ClusterSecret.load(None, file, create=False)
    file.chmod(0o600)
    read = ClusterSecret.load(None, file, create=False)
    assert read is not None and read.job_token("j") == SECRET.job_token("j"), "white space around does not count"


def test_a_directory_instead_of_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"cannot read the cluster secret {tmp_path}"):
        ClusterSecret.load(None, tmp_path, create=True)


def test_a_place_where_no_file_can_be_made_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot make the cluster secret .*Set security\.secret-file"):
        ClusterSecret.load(None, tmp_path / "file" / "below" / "secret", create=True)


def test_a_short_secret_is_refused_with_the_command_that_makes_one() -> None:
    with pytest.raises(ConfigError, match=r"at least 16 bytes, this one 15\. Make one with: millstream secret create"):
        ClusterSecret.load("x" * 15, None, create=False)


def test_a_given_secret_goes_before_the_file(tmp_path: Path) -> None:
    given = ClusterSecret.load("a secret of sixteen", tmp_path / "secret", create=True)
    assert given is not None and given.job_token("j") == SECRET.job_token("j")
    assert not (tmp_path / "secret").exists()


def test_the_secret_comes_from_settings_in_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    by_file = load(environ={"HOME": str(tmp_path), "MILLSTREAM_SECURITY_SECRET_FILE": str(file)})
    assert by_file[options.SECURITY_SECRET_FILE] == file
    load_secret(by_file, "127.0.0.1")
    assert file.exists(), "on loopback it is made"
    by_value = load(environ={"HOME": str(tmp_path), "MILLSTREAM_SECURITY_SECRET": "a secret of sixteen"})
    assert load_secret(by_value, "0.0.0.0").job_token("j") == SECRET.job_token("j")


def test_beyond_loopback_no_secret_is_made_and_the_command_is_named(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    configuration = load(environ={"HOME": str(tmp_path), "MILLSTREAM_SECURITY_SECRET_FILE": str(file)})
    with pytest.raises(MillstreamError, match=f"refusing to listen on 0.0.0.0: .*`millstream secret create {file}`"):
        load_secret(configuration, "0.0.0.0")
    assert not file.exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_an_unprotected_server_does_not_listen_beyond_loopback(host: str) -> None:
    async def run() -> None:
        server = create_server(None, ManualClock())
        with pytest.raises(
            ConfigError, match=r"a cluster secret is required\. Make one with `millstream secret create"
        ):
            bind(server, None, host, 0, "jobmanager.rpc.port")
        await server.stop(None)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("localhost.example.org", False)],
)
def test_what_counts_as_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize("offset_ms", [0, WINDOW_MS, -WINDOW_MS])
def test_a_signature_holds_within_the_window(offset_ms: int) -> None:
    SECRET.verify(METHOD, SECRET.sign(METHOD, NOW_MS), NOW_MS + offset_ms)


@pytest.mark.parametrize("offset_ms", [WINDOW_MS + 1, -WINDOW_MS - 1])
def test_an_old_or_early_signature_speaks_of_the_clocks(offset_ms: int) -> None:
    with pytest.raises(AuthenticationError, match=r"the clocks differ by more than 300 s"):
        SECRET.verify(METHOD, SECRET.sign(METHOD, NOW_MS), NOW_MS + offset_ms)


@pytest.mark.parametrize(
    ("authorization", "message"),
    [
        ("", "not signed"),
        ("Bearer x", "not signed"),
        ("millstream-hmac ", "not signed"),
        ("millstream-hmac 1:2", "not signed"),
        ("millstream-hmac x:2:3", "not signed"),
        ("millstream-hmac -1:2:3", "not signed"),
        ("millstream-hmac ²:2:3", "not signed"),
        ("millstream-hmac 1:2:é", "not signed"),
        (f"millstream-hmac {NOW_MS}:n:{'0' * 64}", "another secret"),
        (SECRET.sign("/other/Method", NOW_MS), "another secret"),
        (ClusterSecret(b"x" * 16).sign(METHOD, NOW_MS), "another secret"),
        (SECRET.sign(METHOD, NOW_MS).replace(f" {NOW_MS}:", f" {NOW_MS + 1}:"), "another secret"),
        (SECRET.sign(METHOD, NOW_MS, "nonce").replace(":nonce:", ":other:"), "another secret"),
    ],
)
def test_anything_else_is_refused(authorization: str, message: str) -> None:
    with pytest.raises(AuthenticationError, match=message):
        SECRET.verify(METHOD, authorization, NOW_MS)


def test_two_signatures_of_one_call_differ() -> None:
    assert SECRET.sign(METHOD, NOW_MS) != SECRET.sign(METHOD, NOW_MS)


def test_job_tokens_differ_by_job_and_by_secret() -> None:
    tokens = {SECRET.job_token("a"), SECRET.job_token("b"), ClusterSecret(b"x" * 16).job_token("a")}
    assert len(tokens) == 3 and SECRET.job_token("a") in tokens


def test_the_secret_is_not_shown() -> None:
    assert "sixteen" not in repr(SECRET) and "sixteen" not in SECRET.sign(METHOD, NOW_MS)
