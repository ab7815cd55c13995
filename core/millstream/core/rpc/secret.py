"""The cluster secret: signs calls, and gives each job a token for its data connections.

A signature is ``millstream-hmac MS:NONCE:HEX`` with ``HEX = HMAC-SHA256(secret, method | MS | NONCE)``, see
``docs/adr/0002``. The secret itself never travels.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from millstream.core.errors import AuthenticationError, ConfigError

AUTHORIZATION_KEY: Final = "authorization"
_SCHEME: Final = "millstream-hmac "
WINDOW_MS: Final = 5 * 60 * 1000
SECRET_BYTES_MIN: Final = 16
_FILE_BYTES_MAX: Final = 4096


class ClusterSecret:
    """Shared by the members of a cluster and its clients."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < SECRET_BYTES_MIN:
            raise ConfigError(
                f"a cluster secret has at least {SECRET_BYTES_MIN} bytes, this one {len(secret)}. "
                f"Make one with: millstream secret create FILE"
            )
        self._secret = secret

    def __repr__(self) -> str:
        return "ClusterSecret(...)"

    def sign(self, method: str, wall_ms: int, nonce: str | None = None) -> str:
        """The value of the authorization metadata for a call of ``method`` at ``wall_ms``."""
        nonce = nonce or secrets.token_hex(8)
        return f"{_SCHEME}{wall_ms}:{nonce}:{self._mac(method, str(wall_ms), nonce)}"

    def verify(self, method: str, authorization: str, wall_ms: int) -> None:
        """Raise ``AuthenticationError`` unless ``authorization`` was made with this secret, for this method, lately."""
        parts = authorization.removeprefix(_SCHEME).split(":")
        is_signature = authorization.isascii() and authorization.startswith(_SCHEME) and len(parts) == 3
        if not is_signature or not parts[0].isdigit():
            raise AuthenticationError(
                "the call is not signed. Give the client the cluster's secret: security.secret-file or security.secret."
            )
        if not hmac.compare_digest(parts[2], self._mac(method, parts[0], parts[1])):
            raise AuthenticationError(
                "the call is signed with another secret than this cluster's. Check security.secret-file."
            )
        if abs(int(parts[0]) - wall_ms) > WINDOW_MS:
            raise AuthenticationError(
                f"the call was signed at {parts[0]} ms, here it is {wall_ms} ms: the clocks differ by more than "
                f"{WINDOW_MS // 1000} s. Set the clocks of both machines."
            )

    def job_token(self, job_id: str) -> bytes:
        """What data connections of a job prove to know."""
        return hmac.new(self._secret, b"job|" + job_id.encode(), hashlib.sha256).digest()

    def _mac(self, method: str, wall_ms: str, nonce: str) -> str:
        return hmac.new(self._secret, f"rpc|{method}|{wall_ms}|{nonce}".encode(), hashlib.sha256).hexdigest()

    @classmethod
    def load(cls, explicit: str | None, file: Path | None, create: bool) -> ClusterSecret | None:
        """The explicit secret, else that of ``file``; None when there is none.

        ``create``: make the file (mode 0600) when it is missing. Raises ``ConfigError`` for a file others may read.
        """
        if explicit:
            return cls(explicit.encode())
        if file is None:
            return None
        file = file.expanduser()
        if not file.exists():
            if not create:
                return None
            _create(file)
        return cls(_read(file))


def _create(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return  # another process of this machine was faster
    except OSError as error:
        raise ConfigError(
            f"cannot make the cluster secret {file}: {error.strerror}. Set security.secret-file."
        ) from None
    with os.fdopen(descriptor, "w") as stream:
        stream.write(secrets.token_hex(32) + "\n")


def _read(file: Path) -> bytes:
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        content = file.read_bytes()[:_FILE_BYTES_MAX].strip()
    except OSError as error:
        raise ConfigError(f"cannot read the cluster secret {file}: {error.strerror}") from None
    # A container's secret mount is owned by root and read-only to everybody in the container: that is its mode 0444.
    if mode & 0o077 and not str(file).startswith("/run/secrets/"):
        raise ConfigError(f"the cluster secret {file} may be read by others (mode {mode:04o}). Run: chmod 600 {file}")
    return content
