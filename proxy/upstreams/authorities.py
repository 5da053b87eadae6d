"""Whose certificates connections to upstreams trust: the known authorities, and more."""

import functools
import hashlib
import os
import shutil
import ssl
import tempfile
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import certifi


@functools.cache
def tls_context() -> ssl.SSLContext:
    """Return the one context that trusts the system's authorities and certifi's."""
    return _known_authorities()


@functools.lru_cache(maxsize=64)
def tls_context_with(ca_pem: str) -> ssl.SSLContext:
    """Return a context that also trusts these authorities; raise ``ssl.SSLError``."""
    context = _known_authorities()
    context.load_verify_locations(cadata=ca_pem)
    return context


def _known_authorities() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


class Bundles:
    """Files of authorities, for a library that takes a path only.

    They lie in a private folder, which goes with this object or with the process.
    """

    def __init__(self, ca_file: str = "") -> None:
        """``ca_file`` stands in the place of the known authorities."""
        self._ca_file = ca_file
        self._folder: Path | None = None
        self._gone: Callable[[], object] = _nothing
        self._lock = threading.Lock()

    def path(self, ca_pem: str) -> str:
        """Return the file to trust (blocking); empty for the library's own choice."""
        if not ca_pem:
            return self._ca_file
        digest = hashlib.sha256(ca_pem.encode()).hexdigest()[:32]
        with self._lock:
            file = self._private_folder() / f"{digest}.pem"
            if not file.exists():
                known = Path(self._ca_file or certifi.where()).read_bytes()
                _write(file, known.rstrip() + b"\n" + ca_pem.encode())
        return str(file)

    def close(self) -> None:
        """Delete the files; later ones are made anew."""
        with self._lock:
            self._folder = None
            self._gone()

    def _private_folder(self) -> Path:
        # Whoever tidies the system's folder for temporary files may have taken it.
        if self._folder is None or not self._folder.is_dir():
            self._gone()
            self._folder = Path(tempfile.mkdtemp(prefix="gemproxy-ca-"))
            remove = functools.partial(shutil.rmtree, ignore_errors=True)
            self._gone = weakref.finalize(self, remove, self._folder)
        return self._folder


def _nothing() -> None:
    """There is no folder yet."""


def _write(file: Path, content: bytes) -> None:
    """Write a file that nobody else reads, whole or not at all."""
    unfinished = file.with_suffix(".part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as out:
        out.write(content)
    unfinished.replace(file)
