"""Certificate authorities that people paste as PEM: checked, and told in a line."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

LARGEST = 64 * 1024
_PRIVATE = "PRIVATE KEY-----"
_BEGIN = "-----BEGIN CERTIFICATE-----"


def valid_authorities(text: str) -> str:
    """Return the certificates in a PEM text, each once and without what stands between.

    An empty text stays empty. Raises ValueError with words for a person.
    """
    text = text.strip()
    if not text:
        return ""
    if len(text) > LARGEST:
        raise ValueError(f"Certificates may have {LARGEST // 1024} KB in all.")
    if _PRIVATE in text:
        raise ValueError(
            "There is a private key in it. Paste the certificates alone, and take"
            " that key out of use: it has been shown."
        )
    if _BEGIN not in text:
        raise ValueError("There is no certificate in PEM in it (BEGIN CERTIFICATE).")
    found = _certificates(text)
    for certificate in found:
        if not _may_sign(certificate):
            raise ValueError(
                f"{_name(certificate)} is no certificate authority, but one that an"
                " authority has made: paste the authority's own."
            )
    now = datetime.datetime.now(datetime.UTC)
    if all(certificate.not_valid_after_utc <= now for certificate in found):
        raise ValueError(f"{_name(found[0])} has expired.")
    pems = (c.public_bytes(Encoding.PEM).decode() for c in found)
    return "".join(dict.fromkeys(pems))


def described(pem: str) -> str:
    """Return names and ends of valid certificates in a line; empty for none."""
    told = (
        f"{_name(each)}, until {each.not_valid_after_utc:%Y-%m-%d}"
        for each in (_certificates(pem) if pem else ())
    )
    return "; ".join(told)


def _certificates(text: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise ValueError("A certificate in it is damaged.") from None


def _may_sign(certificate: x509.Certificate) -> bool:
    """Whether trusting it can help: it signs others, or at least itself."""
    if certificate.issuer == certificate.subject:
        return True
    try:
        basics = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return basics.value.ca


def _name(certificate: x509.Certificate) -> str:
    """Return the common name, or else all of the name."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if names:
        return f"CN {names[0].value}"[:100]
    return certificate.subject.rfc4514_string()[:100] or "A certificate without a name"
