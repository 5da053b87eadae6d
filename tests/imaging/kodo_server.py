"""A strict imitation of Qiniu Kodo: form upload, management, download, all signed.

The three tokens are those of Kodo's "Security" pages: an upload policy, the Qiniu or
QBox signature of a management call, and the ``e`` and ``token`` of a download.
"""

import base64
import hmac
import json
import time
from email.parser import BytesParser
from urllib.parse import parse_qs, urlsplit
from zlib import crc32

from tests.imaging.servers import Asked, Said, ranged

ACCESS_KEY = "kodo-access-key-0000000000000000000000000"
SECRET_KEY = "kodo-secret-key-0000000000000000000000000"


def signed(text: bytes) -> str:
    digest = hmac.new(SECRET_KEY.encode(), text, "sha1").digest()
    return f"{ACCESS_KEY}:{base64.urlsafe_b64encode(digest).decode()}"


class KodoServer:
    """Handles requests for the bucket ``pictures``."""

    bucket = "pictures"

    def __init__(self, *, is_private: bool = True) -> None:
        self.objects: dict[str, tuple[str, bytes]] = {}
        self.refused: list[str] = []
        self.is_private = is_private
        self.broken = False

    def __call__(self, asked: Asked) -> Said:
        if self.broken:
            return self._said(599, {"error": "no service"})
        path = urlsplit(asked.path).path
        if asked.method == "POST" and path == "/":
            return self._upload(asked)
        if asked.method == "POST" and path.startswith("/delete/"):
            return self._delete(asked, path)
        if asked.method in ("GET", "HEAD"):
            return self._download(asked, path)
        return self._said(400, {"error": "unknown"})

    def _upload(self, asked: Asked) -> Said:
        head = f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode()
        form = {
            part.get_param("name", header="content-disposition"): part
            for part in BytesParser().parsebytes(head + asked.body).walk()
            if not part.is_multipart()
        }
        token = form["token"].get_payload(decode=True)
        prefix, _, policy = token.decode().rpartition(":")
        if signed(policy.encode()) != prefix:
            return self._refuse("upload token")
        rules = json.loads(base64.urlsafe_b64decode(policy))
        key = form["key"].get_payload(decode=True).decode()
        if rules["scope"] != f"{self.bucket}:{key}" or rules["deadline"] < time.time():
            return self._refuse("policy")
        data = form["file"].get_payload(decode=True)
        if int(form["crc32"].get_payload(decode=True)) != crc32(data):
            return self._said(406, {"error": "crc32"})
        self.objects[key] = (form["file"].get_content_type(), data)
        return self._said(200, {"key": key, "hash": "h"})

    def _delete(self, asked: Asked, path: str) -> Said:
        kind, _, token = asked.headers.get("authorization", "").partition(" ")
        kinds = {"QBox": f"{path}\n".encode(), "Qiniu": self._canonical(asked)}
        if kind not in kinds or signed(kinds[kind]) != token:
            return self._refuse("management token")
        entry = base64.urlsafe_b64decode(path.removeprefix("/delete/")).decode()
        bucket, _, key = entry.partition(":")
        if bucket != self.bucket or key not in self.objects:
            return self._said(612, {"error": "no such file or directory"})
        del self.objects[key]
        return self._said(200, {})

    def _download(self, asked: Asked, path: str) -> Said:
        query = parse_qs(urlsplit(asked.path).query)
        if self.is_private or query:
            until, token = query.get("e", ["0"])[0], query.get("token", [""])[0]
            text = f"http://{asked.headers['host']}{path}?e={until}"
            if int(until) < time.time() or signed(text.encode()) != token:
                return self._refuse("download token")
        if path[1:] not in self.objects:
            return self._said(404, {"error": "Document not found"})
        kind, data = self.objects[path[1:]]
        said = ranged(asked, data)
        said.headers["Content-Type"] = kind
        return said

    @staticmethod
    def _canonical(asked: Asked) -> bytes:
        """Return what the newer scheme signs."""
        lines = [f"{asked.method} {asked.path}", f"Host: {asked.headers['host']}"]
        kind = asked.headers.get("content-type", "")
        if kind:
            lines.append(f"Content-Type: {kind}")
        own = sorted(n for n in asked.headers if n.startswith("x-qiniu-"))
        lines += [f"{n.title()}: {asked.headers[n]}" for n in own]
        body = asked.body if kind not in ("", "application/octet-stream") else b""
        return "\n".join(lines).encode() + b"\n\n" + body

    def _refuse(self, what: str) -> Said:
        self.refused.append(what)
        return self._said(401, {"error": "bad token"})

    @staticmethod
    def _said(status: int, body: dict) -> Said:
        headers = {"Content-Type": "application/json", "X-Reqid": "r"}
        return Said(status, headers, json.dumps(body).encode())
