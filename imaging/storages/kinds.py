"""The storages there are, what each needs to be told, and the one that is chosen."""

import functools
from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from imaging.storages.base import PictureStorage

# kind: settings without which it cannot work
NEEDS: dict[str, tuple[str, ...]] = {
    "local": (),
    "memory": (),
    "s3": ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "S3_BUCKET"),
    "tencent": (
        "TENCENT_SECRET_ID",
        "TENCENT_SECRET_KEY",
        "TENCENT_REGION",
        "TENCENT_BUCKET",
    ),
    "qiniu": (
        "QINIU_ACCESS_KEY",
        "QINIU_SECRET_KEY",
        "QINIU_BUCKET_NAME",
        "QINIU_BUCKET_DOMAIN",
    ),
}


def lacking(kind: str) -> list[str]:
    """Return the names of settings that a storage needs and does not have."""
    return [name for name in NEEDS[kind] if not getattr(settings, name)]


@functools.cache
def storage(kind: str) -> PictureStorage:
    """Return the storage of a kind, one for each process."""
    return _MAKERS[kind]()


def chosen() -> PictureStorage:
    """Return the storage that takes new pictures."""
    return storage(settings.IMAGE_STORAGE_TYPE)


def _local() -> PictureStorage:
    from imaging.storages.local import LocalStorage

    return LocalStorage(Path(settings.IMAGE_STORAGE_DIR))


def _memory() -> PictureStorage:
    from imaging.storages.memory import MemoryStorage, RedisStorage

    bounds = (settings.MEMORY_MAX_IMAGE_NUMBER, settings.MEMORY_MAX_IMAGE_BYTES)
    if settings.REDIS_URL:
        return RedisStorage(settings.REDIS_URL, *bounds)
    return MemoryStorage(*bounds)


def _s3() -> PictureStorage:
    from imaging.storages.s3 import S3Pictures

    return S3Pictures(
        bucket=settings.S3_BUCKET,
        access_key=settings.S3_ACCESS_KEY_ID,
        secret_key=settings.S3_SECRET_ACCESS_KEY,
        endpoint_url=settings.S3_ENDPOINT_URL,
        region=settings.S3_REGION,
        prefix=settings.S3_PREFIX,
        public_url=settings.S3_PUBLIC_URL,
        hands_out_timed_urls=settings.S3_PRESIGNED_URLS,
    )


def _tencent() -> PictureStorage:
    from imaging.storages.tencent import TencentStorage

    return TencentStorage(
        secret_id=settings.TENCENT_SECRET_ID,
        secret_key=settings.TENCENT_SECRET_KEY,
        region=settings.TENCENT_REGION,
        bucket=settings.TENCENT_BUCKET,
        domain=settings.TENCENT_DOMAIN,
    )


def _qiniu() -> PictureStorage:
    from imaging.storages.qiniu import QiniuStorage

    return QiniuStorage(
        access_key=settings.QINIU_ACCESS_KEY,
        secret_key=settings.QINIU_SECRET_KEY,
        bucket=settings.QINIU_BUCKET_NAME,
        domain=settings.QINIU_BUCKET_DOMAIN,
        is_private=settings.QINIU_PRIVATE,
    )


_MAKERS: dict[str, Callable[[], PictureStorage]] = {
    "local": _local,
    "memory": _memory,
    "s3": _s3,
    "tencent": _tencent,
    "qiniu": _qiniu,
}
