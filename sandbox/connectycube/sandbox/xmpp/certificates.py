"""A certificate authority for one run of the sandbox, so that clients can check its TLS like any other."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

import trustme

__all__ = ["Certificates"]


class Certificates:
    """The authority and the server's certificate; both live as long as the sandbox.

    :param names: host names and addresses that the certificate is for (U-55).
    """

    def __init__(self, *names: str) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="connectycube-sandbox-")
        authority = trustme.CA(organization_name="connectycube sandbox")
        self.ca_file = Path(self._directory.name) / "ca.pem"
        """What clients have to trust."""
        authority.cert_pem.write_to_path(str(self.ca_file))
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*dict.fromkeys(names)).configure_cert(self.server)

    def client(self) -> ssl.SSLContext:
        """A context that trusts the sandbox and nobody else."""
        return ssl.create_default_context(cafile=self.ca_file)

    def close(self) -> None:
        """Delete the file."""
        self._directory.cleanup()
