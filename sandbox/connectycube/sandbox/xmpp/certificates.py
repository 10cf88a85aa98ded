"""A certificate authority for the sandbox alone, so that clients can verify its TLS as usual."""

from __future__ import annotations

import os
import ssl
import tempfile
from pathlib import Path

import trustme

from ..storage import DataFileError

__all__ = ["Certificates"]


class Certificates:
    """The authority, and the server's certificate, which it signs at each start.

    :param names: host names and addresses of the server's certificate (U-55).
    :param ca_file: where to keep the authority's certificate, with its key beside it, so that clients still trust it
        after a restart. Without it, the authority lasts as long as the sandbox.
    :raises DataFileError: if the file is not an authority's, or can't be written.
    """

    def __init__(self, *names: str, ca_file: Path | None = None) -> None:
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        if ca_file is None:
            self._directory = tempfile.TemporaryDirectory(prefix="connectycube-sandbox-")
            ca_file = Path(self._directory.name) / "ca.pem"
        self.ca_file = ca_file
        """The certificate that clients have to trust."""
        key_file = ca_file.with_name(f"{ca_file.name}.key")
        authority = _load(ca_file, key_file) if ca_file.exists() else _create(ca_file, key_file)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*dict.fromkeys(names)).configure_cert(self.server)

    def client(self) -> ssl.SSLContext:
        """Return a context that trusts only the sandbox."""
        return ssl.create_default_context(cafile=self.ca_file)

    def close(self) -> None:
        """Delete the authority, unless it is kept."""
        if self._directory is not None:
            self._directory.cleanup()


def _create(ca_file: Path, key_file: Path) -> trustme.CA:
    """Create and keep an authority. The key is written first, and only its owner may read it."""
    authority = trustme.CA(organization_name="connectycube sandbox")
    try:
        key_file.unlink(missing_ok=True)
        with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(authority.private_key_pem.bytes())
        authority.cert_pem.write_to_path(str(ca_file))
    except OSError as error:
        raise DataFileError(f"the certificate authority can't be kept in {ca_file}: {error.strerror}") from error
    return authority


def _load(ca_file: Path, key_file: Path) -> trustme.CA:
    try:
        return trustme.CA.from_pem(ca_file.read_bytes(), key_file.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise DataFileError(f"{ca_file} and {key_file} hold no certificate authority, delete both: {error}") from error
