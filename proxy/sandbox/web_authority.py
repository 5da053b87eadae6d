"""A certificate authority of the sandbox's own, made anew at every start."""

import datetime
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAYS = 30
_NAME = "gemproxy sandbox"


class Authority:
    """It vouches for the hosts that the sandbox imitates, and for nothing else."""

    def __init__(self, hosts: Iterable[str]) -> None:
        """``hosts`` are names, which may begin with ``*.``."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = _named(f"{_NAME} CA")
        builder = _builder(name, name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self._hosts = tuple(hosts)

    @property
    def pem(self) -> bytes:
        """The certificate that a client has to trust."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def write(self, path: Path) -> Path:
        """Write the certificate to a file; return its path."""
        path.write_bytes(self.pem)
        return path

    def context(self) -> ssl.SSLContext:
        """The TLS settings of a server that shows a certificate for all hosts."""
        key = ec.generate_private_key(ec.SECP256R1())
        chain = self._leaf(key) + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        # The standard library takes certificates only from files.
        handle, name = tempfile.mkstemp(prefix="sandbox-", suffix=".pem")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(chain)
            context.load_cert_chain(name)
        finally:
            Path(name).unlink()
        return context

    def _leaf(self, key: ec.EllipticCurvePrivateKey) -> bytes:
        names = x509.SubjectAlternativeName(
            [
                *(x509.DNSName(host) for host in self._hosts),
                x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            ]
        )
        builder = _builder(_named(_NAME), self._certificate.subject, key)
        signed = builder.add_extension(names, critical=False).sign(
            self._key, hashes.SHA256()
        )
        return signed.public_bytes(serialization.Encoding.PEM)


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
    )
