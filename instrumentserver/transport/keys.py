"""What a server on a network has: a certificate, by which clients know it, and a token for each role."""

from __future__ import annotations

import datetime
import secrets
import ssl
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from instrumentserver.errors import UnknownName, UsageError

from .address import check_server_name
from .private import make_private, private_folder, read_private, write_private
from .tls import fingerprint_of, server_context

__all__ = ["ROLES", "ServerKeys", "parse_token"]

ROLES: Final = ("viewer", "operator", "admin")
"""Who may do more comes later."""
_YEARS: Final = 100
_TOKEN_SIZE: Final = 32


class ServerKeys:
    """The certificate and the tokens of one server of this user.

    Args:
        name: The server's name.
    """

    def __init__(self, name: str) -> None:
        self._name = check_server_name(name)
        self._folder = private_folder() / "servers" / name

    @property
    def is_there(self) -> bool:
        """Whether the server ever listened on a network."""
        return (self._folder / "certificate.pem").exists()

    def make(self) -> None:
        """Make what is not there yet."""
        make_private(self._folder.parent)
        make_private(self._folder)
        for role in ROLES:
            if not self._token_file(role).exists():
                self.rotate(role)
        # The certificate last: with it, everything is there.
        if not self.is_there:
            key, certificate = _new_certificate(self._name)
            write_private(self._folder / "key.pem", key)
            write_private(self._folder / "certificate.pem", certificate)

    def context(self) -> ssl.SSLContext:
        """Return how the server speaks TLS.

        Raises:
            UsageError: Others can read its key.
        """
        read_private(self._folder / "key.pem")
        return server_context(self._folder / "certificate.pem", self._folder / "key.pem")

    @property
    def fingerprint(self) -> str:
        """What people compare of the certificate, ``sha256:`` and 64 hexadecimal digits.

        Raises:
            UnknownName: There is none.
        """
        self._check_there()
        pem = read_private(self._folder / "certificate.pem").decode()
        return fingerprint_of(ssl.PEM_cert_to_DER_cert(pem))

    def token(self, role: str) -> str:
        """Return the token of a role.

        Raises:
            UnknownName: There is none.
            UsageError: Others can read it, or its file holds no token.
        """
        self._check_there()
        return parse_token(read_private(self._token_file(role)).decode("ascii", "replace"))

    def tokens(self) -> list[bytes]:
        """Return the tokens of all roles as they are now, in the order of `ROLES`, for proofs."""
        return [self.token(role).encode() for role in ROLES]

    def rotate(self, role: str) -> None:
        """Make a new token for a role; the one before is worth nothing from now on."""
        write_private(self._token_file(role), f"{secrets.token_hex(_TOKEN_SIZE)}\n".encode())

    def _token_file(self, role: str) -> Path:
        if role not in ROLES:
            raise UsageError(f"{role!r} is no role; the roles are {', '.join(ROLES)}")
        return self._folder / f"{role}.token"

    def _check_there(self) -> None:
        if not self.is_there:
            raise UnknownName(
                f"server {self._name!r} has never listened on a network; "
                f"start it with: instrumentserver start {self._name} --listen tls://0.0.0.0:5900"
            )


def parse_token(text: str) -> str:
    """Return a token as it was shown.

    Raises:
        UsageError: The text is no token; it is not repeated in the message.
    """
    token = text.strip().lower()
    if len(token) != 2 * _TOKEN_SIZE or not set(token) <= set("0123456789abcdef"):
        raise UsageError(
            f"that is no token: it has {len(token)} characters instead of {2 * _TOKEN_SIZE} hexadecimal digits; "
            f"take what instrumentserver token show NAME prints"
        )
    return token


def _new_certificate(server_name: str) -> tuple[bytes, bytes]:
    """Return a new key and a certificate for it, in PEM form."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"instrumentserver {server_name}"[:64])])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # The clocks of a lab may differ by a day.
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    return (
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain),
        certificate.public_bytes(pem),
    )
