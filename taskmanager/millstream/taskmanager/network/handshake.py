"""How two slot processes prove to each other that they serve the same job, before any frame is read.

::

    client                                             server
    magic, version, job id, client nonce      ->
                                              <-       magic, version, server nonce, HMAC(token, "S" client server)
    HMAC(token, "C" server client)            ->

The token is the job's; it never travels. All messages have fixed sizes, so an unauthenticated peer can make the server
hold less than a hundred bytes. HMAC is SHA-256. A server that meets another version answers with its own and no proof,
so that the client can name both.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Final

from millstream.core.errors import AuthenticationError, ProtocolVersionError
from millstream.taskmanager.network.frames import VERSION

_MAGIC: Final = b"MSTRDATA"
_HELLO: Final = struct.Struct("<8sH32s16s")  # the first two fields must stay what they are in all versions
_CHALLENGE: Final = struct.Struct("<8sH16s32s")
HELLO_BYTES: Final = _HELLO.size
CHALLENGE_BYTES: Final = _CHALLENGE.size
PROOF_BYTES: Final = 32
NONCE_BYTES: Final = 16


def hello(job_id: str, client_nonce: bytes) -> bytes:
    return _HELLO.pack(_MAGIC, VERSION, job_id.encode()[:32].ljust(32, b"\0"), client_nonce)


def read_hello(data: bytes, job_id: str) -> bytes:
    """The client's nonce. Raises when the peer is no Millstream, of another version, or of another job."""
    magic, version, job, nonce = _HELLO.unpack(data)
    _check(magic, version)
    if job.rstrip(b"\0") != job_id.encode()[:32]:
        raise AuthenticationError("a data connection for another job")
    client_nonce: bytes = nonce
    return client_nonce


def challenge(token: bytes, client_nonce: bytes, server_nonce: bytes) -> bytes:
    return _CHALLENGE.pack(_MAGIC, VERSION, server_nonce, _mac(token, b"S", client_nonce, server_nonce))


def read_challenge(data: bytes, token: bytes, client_nonce: bytes) -> bytes:
    """The server's nonce, after its proof was checked."""
    magic, version, nonce, proof = _CHALLENGE.unpack(data)
    _check(magic, version)
    server_nonce: bytes = nonce
    if not hmac.compare_digest(proof, _mac(token, b"S", client_nonce, server_nonce)):
        raise AuthenticationError("the peer of a data connection does not know the job's token")
    return server_nonce


def refusal() -> bytes:
    """A challenge that proves nothing: it tells a client of another version which one is spoken here."""
    return _CHALLENGE.pack(_MAGIC, VERSION, b"", b"")


def proof(token: bytes, client_nonce: bytes, server_nonce: bytes) -> bytes:
    return _mac(token, b"C", server_nonce, client_nonce)


def check_proof(data: bytes, token: bytes, client_nonce: bytes, server_nonce: bytes) -> None:
    if not hmac.compare_digest(data, proof(token, client_nonce, server_nonce)):
        raise AuthenticationError("the peer of a data connection does not know the job's token")


def _mac(token: bytes, side: bytes, first: bytes, second: bytes) -> bytes:
    return hmac.new(token, side + first + second, hashlib.sha256).digest()


def check_magic(data: bytes) -> None:
    """Refuse a stranger by its first bytes, before there is a job to check."""
    if data[: len(_MAGIC)] != _MAGIC[: len(data)]:
        raise AuthenticationError("bytes that are no Millstream data connection")


def _check(magic: bytes, version: int) -> None:
    if magic != _MAGIC:
        raise AuthenticationError("bytes that are no Millstream data connection")
    if version != VERSION:
        raise ProtocolVersionError(
            f"a peer speaks data-plane version {version}, this process version {VERSION}; run one release everywhere"
        )
