"""System checks of the settings about pictures, with ids and hints."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from imaging.storages.domains import address
from imaging.storages.kinds import lacking


@register()
def check_storage(**_: Any) -> list[CheckMessage]:
    """Report a storage of pictures that could not work."""
    kind = settings.IMAGE_STORAGE_TYPE
    missing = lacking(kind)
    if missing:
        return [
            Error(
                f"IMAGE_STORAGE_TYPE={kind} needs {', '.join(missing)}.",
                hint="Set them, or leave IMAGE_STORAGE_TYPE out to keep pictures "
                "in a folder; see docs/pictures.md.",
                id="gemproxy.E030",
            )
        ]
    if kind == "local" and not _is_writable(Path(settings.IMAGE_STORAGE_DIR)):
        return [
            Error(
                f"IMAGE_STORAGE_DIR={settings.IMAGE_STORAGE_DIR} cannot be written.",
                hint="Give its owner the right to write, or name another folder.",
                id="gemproxy.E031",
            )
        ]
    return []


@register()
def check_memory(**_: Any) -> list[CheckMessage]:
    """Report pictures in memory that other processes would not find."""
    if settings.IMAGE_STORAGE_TYPE != "memory" or settings.REDIS_URL:
        return []
    if settings.WORKERS > 1:
        return [
            Error(
                f"IMAGE_STORAGE_TYPE=memory with WORKERS={settings.WORKERS} and no "
                "Redis: a picture would be known to one process only.",
                hint="Set REDIS_URL, WORKERS=1, or another IMAGE_STORAGE_TYPE.",
                id="gemproxy.E032",
            )
        ]
    return [
        Warning(
            "IMAGE_STORAGE_TYPE=memory: pictures are lost when the server stops.",
            hint="Leave it out to keep pictures in a folder, or set REDIS_URL.",
            id="gemproxy.W030",
        )
    ]


@register()
def check_addresses(**_: Any) -> list[CheckMessage]:
    """Report addresses of buckets that are none."""
    values = {
        "S3_ENDPOINT_URL": settings.S3_ENDPOINT_URL,
        "S3_PUBLIC_URL": settings.S3_PUBLIC_URL,
        "TENCENT_DOMAIN": address(settings.TENCENT_DOMAIN),
        "QINIU_BUCKET_DOMAIN": address(settings.QINIU_BUCKET_DOMAIN),
    }
    found: list[CheckMessage] = []
    for name, value in values.items():
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname):
            found.append(
                Error(f"{name} is no http or https address.", id="gemproxy.E033")
            )
    if settings.S3_PUBLIC_URL and settings.S3_PRESIGNED_URLS:
        found.append(
            Warning(
                "S3_PRESIGNED_URLS has no effect beside S3_PUBLIC_URL.",
                hint="Leave one of them out.",
                id="gemproxy.W031",
            )
        )
    return found


def _is_writable(folder: Path) -> bool:
    """Return whether the folder can be written, or made where it is to be."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
