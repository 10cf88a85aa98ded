"""A certificate authority for the sandbox alone, so that clients can check its TLS like any other."""

from __future__ import annotations

import os
import ssl
import tempfile
from pathlib import Path

import trustme

from ..storage import DataFileError

__all__ = ["Certificates"]


class Certificates:
    """The authority, and the server's certificate of this run.

    :param names: host names and addresses that the certificate is for (U-55).
    :param ca_file: where the authority's certificate is kept, beside its key: who trusts it goes on doing so after a
        restart. Without it the authority lives as long as the sandbox.
    :raises DataFileError: if what is kept there is no authority, or none can be kept there.
    """

    def __init__(self, *names: str, ca_file: Path | None = None) -> None:
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        if ca_file is None:
            self._directory = tempfile.TemporaryDirectory(prefix="connectycube-sandbox-")
            ca_file = Path(self._directory.name) / "ca.pem"
        self.ca_file = ca_file
        """What clients have to trust."""
        key_file = ca_file.with_name(f"{ca_file.name}.key")
        authority = _kept(ca_file, key_file) if ca_file.exists() else _made(ca_file, key_file)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*dict.fromkeys(names)).configure_cert(self.server)

    def client(self) -> ssl.SSLContext:
        """A context that trusts the sandbox and nobody else."""
        return ssl.create_default_context(cafile=self.ca_file)

    def close(self) -> None:
        """Delete what is not kept."""
        if self._directory is not None:
            self._directory.cleanup()


def _made(ca_file: Path, key_file: Path) -> trustme.CA:
    """A new authority, written down: the key first, for the user's eyes only."""
    authority = trustme.CA(organization_name="connectycube sandbox")
    try:
        key_file.unlink(missing_ok=True)
        with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(authority.private_key_pem.bytes())
        authority.cert_pem.write_to_path(str(ca_file))
    except OSError as error:
        raise DataFileError(f"no certificate authority can be kept in {ca_file}: {error.strerror}") from error
    return authority


def _kept(ca_file: Path, key_file: Path) -> trustme.CA:
    try:
        return trustme.CA.from_pem(ca_file.read_bytes(), key_file.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise DataFileError(f"{ca_file} and {key_file} are no certificate authority, delete both: {error}") from error
