"""Where log records go, and from which level on."""

from typing import Any


def logging_config(level: str) -> dict[str, Any]:
    """Return what ``logging.config.dictConfig`` takes; ``level`` is the root's."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": "gemproxy.lib.redaction.RedactingFormatter",
                "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
            }
        },
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "line"}
        },
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "django.request": {"level": "ERROR"},
            # Strangers send any Host they like: a 400 is enough, without a traceback.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            "django-q": {
                "handlers": ["console"],
                "level": "WARNING",
                "propagate": False,
            },
            # They tell what they sign, and each failure that we tell ourselves.
            "qcloud_cos": {"level": "CRITICAL"},
            "botocore": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
            # It quotes from forms that it cannot read.
            "python_multipart": {"level": "CRITICAL"},
            "uvicorn": {
                "handlers": ["console"],
                "level": "WARNING",
                "propagate": False,
            },
        },
    }
