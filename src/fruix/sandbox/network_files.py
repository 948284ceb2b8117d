"""Files of the host that a build with a network needs to find its way.

They are copied, never bound: most of them are symlinks, and change.

Names are relative to `/etc`. What the host lacks is absent.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping

from fruix.sandbox.networks import NAME_SERVER, OWN

CERTIFICATES = "ssl/certs/ca-certificates.crt"
_COPIED = ("resolv.conf", "hosts", "services", "nsswitch.conf")
_CERTIFICATE_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
)


def host_files(network: str) -> Mapping[str, bytes]:
    """Contents by name, for a build that has the network by way of `network` (see `networks`)."""
    files = {name: contents(f"/etc/{name}") for name in _COPIED}
    if network in OWN:
        files["resolv.conf"] = f"nameserver {NAME_SERVER}\n".encode()
    files[CERTIFICATES] = _certificates()
    return {name: data for name, data in files.items() if data}


def _certificates() -> bytes:
    """The host's trusted certificates (PEM), or nothing if there are none: then https fails, saying so."""
    paths = (os.environ.get("SSL_CERT_FILE"), _default_certificates(), *_CERTIFICATE_FILES)
    return next((data for path in paths if path and (data := contents(path))), b"")


def _default_certificates() -> str | None:
    """Where OpenSSL looks; a Python without `ssl` doesn't know."""
    with contextlib.suppress(ImportError):
        import ssl  # noqa: PLC0415 - not in every Python, and most commands never need it

        return ssl.get_default_verify_paths().cafile
    return None


def contents(path: str) -> bytes:
    """A file's bytes; none if it is not there or can't be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
