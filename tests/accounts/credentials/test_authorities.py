"""Certificate authorities that people paste."""

import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from accounts.credentials.authorities import LARGEST, described, valid_authorities

KEY = ec.generate_private_key(ec.SECP256R1())
NOW = datetime.datetime.now(datetime.UTC)
PRIVATE = KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()


def name(text: str) -> x509.Name:
    attribute = NameOID.COMMON_NAME if text else NameOID.ORGANIZATION_NAME
    return x509.Name([x509.NameAttribute(attribute, text or "nobody")])


def pem(text: str = "our proxy", *, by: str | None = None, **given: Any) -> str:
    """Return a certificate, by itself or somebody else, that ends in some days."""
    days, ca = given.get("days", 30), given.get("ca")
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(text))
        .issuer_name(name(text if by is None else by))
        .public_key(KEY.public_key())
        .serial_number(7)
        .not_valid_before(NOW - datetime.timedelta(days=60))
        .not_valid_after(NOW + datetime.timedelta(days=days))
    )
    if ca is not None:
        basics = x509.BasicConstraints(ca=ca, path_length=None)
        builder = builder.add_extension(basics, critical=True)
    made = builder.sign(KEY, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


ONE, TWO = pem("one"), pem("two", by="root", ca=True)


def test_what_stands_between_certificates_goes() -> None:
    text = f"# ours\r\n{ONE}\nSubject: two\n{TWO.replace(chr(10), chr(13) + chr(10))}"
    assert valid_authorities(f"  {text}\n\n") == ONE + TWO


def test_each_certificate_is_kept_once() -> None:
    assert valid_authorities(ONE + TWO + ONE) == ONE + TWO


@pytest.mark.parametrize("text", ["", "  \n\t"])
def test_nothing_is_nothing(text: str) -> None:
    assert valid_authorities(text) == ""
    assert described("") == ""


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("hello", "no certificate in PEM"),
        (
            "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----",
            "no certificate",
        ),
        (ONE[: len(ONE) // 2], "damaged"),
        (ONE.replace("MII", "AAA", 1), "damaged"),
        (pem("leaf", by="root", ca=False), "CN leaf is no certificate authority"),
        (ONE + pem("leaf", by="root"), "CN leaf is no certificate authority"),
        (pem("old", days=-1), "CN old has expired"),
        ("#" * (LARGEST + 1), "64 KB"),
    ],
)
def test_what_cannot_be_trusted_is_refused_with_the_reason(
    text: str, word: str
) -> None:
    with pytest.raises(ValueError, match=word):
        valid_authorities(text)


@pytest.mark.parametrize("label", ["", "EC ", "RSA ", "ENCRYPTED "])
def test_a_private_key_is_refused_and_not_repeated(label: str) -> None:
    key = PRIVATE.replace("PRIVATE KEY", f"{label}PRIVATE KEY")
    with pytest.raises(ValueError, match="private key") as caught:
        valid_authorities(ONE + key)
    assert PRIVATE.splitlines()[1] not in str(caught.value)


def test_one_that_has_expired_among_others_is_let_pass() -> None:
    old = pem("old", days=-1)
    assert valid_authorities(old + ONE) == old + ONE


def test_certificates_are_told_by_name_and_end() -> None:
    until = (NOW + datetime.timedelta(days=30)).strftime("%Y-%m-%d")
    assert described(ONE + TWO) == f"CN one, until {until}; CN two, until {until}"


def test_one_without_a_common_name_is_told_by_what_it_has() -> None:
    assert described(pem("")).startswith("O=nobody, until ")


def test_what_is_stored_and_damaged_is_an_error_to_tell() -> None:
    with pytest.raises(ValueError, match="damaged"):
        described("nonsense")
