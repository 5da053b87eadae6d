"""A strict imitation of Tencent COS: objects of one bucket, every signature checked.

The signature is that of "Request Signature" in the COS documentation: an HMAC-SHA1
over method, path, parameters and headers, with a key made from the time span.
"""

import hashlib
import hmac
import time
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from tests.imaging.servers import Asked, Said, ranged

SECRET_ID = "AKIDtest0000000000000000000000000000"
SECRET_KEY = "cos-secret-key-00000000000000000"
NEEDED = {"host"}


class CosServer:
    """Handles requests for the bucket ``pictures-1250000000``."""

    bucket = "pictures-1250000000"

    def __init__(self) -> None:
        self.objects: dict[str, tuple[str, bytes]] = {}
        self.refused: list[str] = []
        self.broken = False

    def __call__(self, asked: Asked) -> Said:
        if self.broken:
            return self._error(503, "ServiceUnavailable")
        why = self._wrong(asked)
        if why:
            self.refused.append(why)
            return self._error(403, "SignatureDoesNotMatch")
        key = unquote(urlsplit(asked.path).path).lstrip("/")
        if asked.method == "PUT":
            return self._put(key, asked)
        if asked.method == "DELETE":
            self.objects.pop(key, None)
            return Said(204)
        if asked.method not in ("GET", "HEAD"):
            return self._error(405, "MethodNotAllowed")
        if key not in self.objects:
            return self._error(404, "NoSuchKey")
        kind, data = self.objects[key]
        said = ranged(asked, data)
        said.headers["Content-Type"] = kind
        return said

    def _put(self, key: str, asked: Asked) -> Said:
        if not key or "content-length" not in asked.headers:
            return self._error(400, "InvalidArgument")
        self.objects[key] = (asked.headers.get("content-type", ""), asked.body)
        return Said(200, {"ETag": f'"{hashlib.md5(asked.body).hexdigest()}"'})

    def _wrong(self, asked: Asked) -> str:
        """Say what is wrong with the signature; nothing if it is right."""
        given = dict(parse_qsl(asked.headers.get("authorization", "")))
        if given.get("q-sign-algorithm") != "sha1" or given.get("q-ak") != SECRET_ID:
            return "no signature of a known key"
        span = given["q-key-time"]
        begin, _, end = span.partition(";")
        if not int(begin) <= time.time() <= int(end):
            return "out of its time"
        names = given["q-header-list"].split(";")
        if not set(names) >= NEEDED:
            return "headers are not signed"
        if given.get("q-url-param-list"):
            return "no parameters are expected"
        headers = "&".join(f"{n}={self._value(asked, n)}" for n in names)
        path = unquote(urlsplit(asked.path).path)
        text = f"{asked.method.lower()}\n{path}\n\n{headers}\n"
        signed = f"sha1\n{span}\n{hashlib.sha1(text.encode()).hexdigest()}\n"
        key = hmac.new(SECRET_KEY.encode(), span.encode(), "sha1").hexdigest()
        wanted = hmac.new(key.encode(), signed.encode(), "sha1").hexdigest()
        return "" if hmac.compare_digest(wanted, given["q-signature"]) else "wrong"

    @staticmethod
    def _value(asked: Asked, name: str) -> str:
        value = asked.headers.get(name, "")
        if name == "host":
            value = value.partition(":")[0]
        return quote(value, safe="-_.~")

    @staticmethod
    def _error(status: int, code: str) -> Said:
        body = (
            f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message>"
            "<Resource>/x</Resource><RequestId>r</RequestId></Error>"
        )
        return Said(status, {"Content-Type": "application/xml"}, body.encode())
