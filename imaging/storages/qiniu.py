"""Pictures in Qiniu Kodo."""

import contextlib
import functools
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import httpx

from imaging.storages.base import (
    ANSWER_SECONDS,
    CHUNK,
    CONNECT_SECONDS,
    PictureStorage,
    http_range,
)
from imaging.storages.domains import address

#: Kodo's word for: there is no such file.
NO_FILE = 612
READ_SECONDS = 600


class QiniuStorage(PictureStorage):
    """A bucket, through the vendor's SDK; Kodo is read through the bucket's domain."""

    kind = "qiniu"

    def __init__(
        self,
        *,
        access_key: str,
        secret_key: str,
        bucket: str,
        domain: str,
        is_private: bool = False,
        server: str = "",
        scheme: str = "https",
    ) -> None:
        """``server`` (host:port) stands for the vendor's, and is meant for tests."""
        self._keys = (access_key, secret_key)
        self._bucket = bucket
        self._domain = address(domain)
        self._is_private = is_private
        self._server, self._scheme = server, scheme

    def put(self, name: str, data: bytes, media_type: str) -> None:
        from qiniu.services.storage.uploaders import FormUploader
        from qiniu.utils import crc32

        uploader = FormUploader(
            self._bucket,
            auth=self._auth,
            regions=self._regions,
            preferred_scheme=self._scheme,
        )
        with self._told("writing"):
            # Without a file name of ours the SDK would send one it made up.
            token = self._auth.upload_token(self._bucket, self.checked(name))
            _, answer = uploader.upload(
                key=name,
                data=BytesIO(data),
                data_size=len(data),
                mime_type=media_type,
                file_name=name.rpartition("/")[2],
                crc32_int=crc32(data),
                up_token=token,
            )
        self._check("writing", answer)

    def chunks(
        self, name: str, start: int = 0, stop: int | None = None
    ) -> Iterator[bytes]:
        url = f"{self._domain}/{self.checked(name)}"
        # A signature opens private buckets and does not disturb public ones.
        signed = self._auth.private_download_url(url, expires=READ_SECONDS)
        headers = {"Range": http_range(start, stop)}
        try:
            with self._reader.stream("GET", signed, headers=headers) as answer:
                if answer.status_code == 404:
                    raise self.missing()
                if answer.status_code not in (200, 206):
                    raise self.trouble("reading", f"status {answer.status_code}")
                yield from _part(answer, start, stop)
        except httpx.HTTPError as error:
            raise self.trouble("reading", type(error).__name__) from None

    def remove(self, name: str) -> None:
        from qiniu import BucketManager

        manager = BucketManager(
            self._auth, regions=self._regions, preferred_scheme=self._scheme
        )
        with self._told("deleting"):
            _, answer = manager.delete(self._bucket, self.checked(name))
        if answer.status_code != NO_FILE:
            self._check("deleting", answer)

    def public_url(self, name: str) -> str:
        return "" if self._is_private else f"{self._domain}/{self.checked(name)}"

    def close(self) -> None:
        if "_reader" in self.__dict__:
            self._reader.close()

    @functools.cached_property
    def _auth(self) -> Any:
        # The SDK is loaded only where pictures are stored by it.
        from qiniu import Auth

        return Auth(*self._keys)

    @functools.cached_property
    def _reader(self) -> httpx.Client:
        limits = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        return httpx.Client(timeout=limits, follow_redirects=False)

    @functools.cached_property
    def _regions(self) -> list[Any] | None:
        """Return nothing, so that the SDK asks where the bucket is; or the server."""
        if not self._server:
            return None
        from qiniu.http.endpoint import Endpoint
        from qiniu.http.region import Region, ServiceName

        here = [Endpoint(self._server, default_scheme=self._scheme)]
        services = {ServiceName.UP: here, ServiceName.RS: here}
        return [Region(region_id="here", services=services)]

    @contextlib.contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        """Turn what the SDK raises, beside what it returns, into our exception."""
        # What requests raises is an OSError.
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:
            raise self.trouble(doing, type(error).__name__) from None

    def _check(self, doing: str, answer: Any) -> None:
        """Raise StorageTrouble unless Kodo said yes.

        Its texts are left out: they may name the upload token.
        """
        if answer.exception is not None:
            raise self.trouble(doing, type(answer.exception).__name__)
        if not answer.ok() or answer.req_id is None:
            raise self.trouble(doing, f"status {answer.status_code}")


def _part(answer: httpx.Response, start: int, stop: int | None) -> Iterator[bytes]:
    """Yield the range also where a domain's proxy answered with the whole."""
    at = start if answer.status_code == 206 else 0
    for chunk in answer.iter_raw(CHUNK):
        first = max(0, start - at)
        last = len(chunk) if stop is None else min(len(chunk), stop - at)
        if last > first:
            yield chunk[first:last]
        at += len(chunk)
        if stop is not None and at >= stop:
            return
