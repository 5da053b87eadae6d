"""Every setting, once. Values come from the environment or `.env`."""

import ipaddress
import sys
import zoneinfo
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url

from gemproxy.appearance import UNFOLD as UNFOLD
from gemproxy.lib.env import BadSetting, Env
from gemproxy.lib.keyfiles import (
    new_encryption_key,
    private_folder,
    stored_secret,
)
from gemproxy.lib.mail import read_mail, sender
from gemproxy.logs import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent
ENV = Env.load(BASE_DIR)
VERSION = "0.1.0"

# Where we run -----------------------------------------------------------------
VAR_DIR = private_folder(Path(ENV.text("VAR_DIR") or BASE_DIR / "var").resolve())
DEBUG = ENV.flag("DEBUG")
HOST = ENV.text("HOST", "127.0.0.1")
PORT = ENV.integer("PORT", 8100, least=1, most=65_535)
SERVER = ENV.text("SERVER", "uvicorn")
WORKERS = ENV.integer("WORKERS", 1, least=1)
JOB_WORKERS = ENV.integer("JOB_WORKERS", 2, least=1)
MIGRATE = ENV.flag("MIGRATE")
SHUTDOWN_GRACE_SECONDS = ENV.seconds("SHUTDOWN_GRACE_SECONDS", 30)
PUBLIC_URL = ENV.text("PUBLIC_URL", "", "HOST_URL", "RENDER_EXTERNAL_URL").rstrip("/")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LOOPBACK = ["localhost", "127.0.0.1", "[::1]"]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _allowed_hosts() -> list[str]:
    """Given names; else all on a public interface, loopback names on a private one."""
    given = ENV.items("ALLOWED_HOSTS")
    public = urlsplit(PUBLIC_URL).hostname
    if not given:
        given = LOOPBACK if _is_loopback(HOST) else ["*"]
    return [*given, *([public] if public else [])]


ALLOWED_HOSTS = _allowed_hosts()
CSRF_TRUSTED_ORIGINS = ENV.items("CSRF_TRUSTED_ORIGINS") + (
    [PUBLIC_URL] if PUBLIC_URL else []
)
TRUSTED_PROXY_HOPS = ENV.integer("TRUSTED_PROXY_HOPS", 0)
CORS_ALLOWED_ORIGINS = ENV.items("CORS_ALLOWED_ORIGINS")
ADMIN_ALLOWED_IPS = ENV.items("ADMIN_ALLOWED_IPS")
WHITELIST_IPS = ENV.items("WHITELIST_IPS")

# Secrets ------------------------------------------------------------------------
SECRET_KEY = ENV.secret("SECRET_KEY") or stored_secret(VAR_DIR / "secret_key")
SECRET_KEY_FALLBACKS = ENV.secret_items("SECRET_KEY_FALLBACKS")
ENCRYPTION_KEYS = ENV.secret_items("ENCRYPTION_KEYS") or [
    stored_secret(VAR_DIR / "encryption_key", new_encryption_key)
]
ADMIN_USER = ENV.text("ADMIN_USER")
ADMIN_PASSWORD = ENV.secret("ADMIN_PASSWORD")
ADMIN_AUTH_TOKEN = ENV.secret("ADMIN_AUTH_TOKEN")

# Upstreams ----------------------------------------------------------------------
DEFAULT_MODEL = ENV.text("DEFAULT_MODEL", "gemini-3-flash-preview")
DEFAULT_IMAGE_MODEL = ENV.text("DEFAULT_IMAGE_MODEL", "gemini-2.5-flash-image")
GEMINI_BASE_URL = ENV.text(
    "GEMINI_BASE_URL", "https://generativelanguage.googleapis.com", "PROXY_URL"
).rstrip("/")
GEMINI_API_KEYS = ENV.secret_items("GEMINI_API_KEYS")
CODE_ASSIST_BASE_URL = ENV.text(
    "CODE_ASSIST_BASE_URL", "https://cloudcode-pa.googleapis.com"
).rstrip("/")
OAUTH_TOKEN_URL = ENV.text("OAUTH_TOKEN_URL", "https://oauth2.googleapis.com/token")
CODE_ASSIST_DAILY_LIMITS = ENV.counts(
    "CODE_ASSIST_DAILY_LIMITS",
    "gemini-2.5-pro=100, gemini-2.5-pro-preview*=1000, gemini-2.5-flash=1000",
)
GEMINI_CLI_CLIENT_ID = ENV.text("GEMINI_CLI_CLIENT_ID")
GEMINI_CLI_CLIENT_SECRET = ENV.secret("GEMINI_CLI_CLIENT_SECRET")
XAI_BASE_URL = ENV.text("XAI_BASE_URL", "https://api.x.ai").rstrip("/")
XAI_API_KEYS = ENV.secret_items("XAI_API_KEYS")
XAI_RESPONSE_FORMAT = ENV.choice("XAI_RESPONSE_FORMAT", "url", ("url", "b64_json"))
XAI_CALLER_KEYS = ENV.flag("XAI_CALLER_KEYS")
XAI_CALLER_IPS = ENV.items("XAI_CALLER_IPS")
SECURE_1PSID = ENV.secret("SECURE_1PSID")
SECURE_1PSIDTS = ENV.secret("SECURE_1PSIDTS")
SECURE_1PSIDCC = ENV.secret("SECURE_1PSIDCC")
GEMINI_WEB_CONCURRENCY = ENV.integer("GEMINI_WEB_CONCURRENCY", 1)
GEMINI_WEB_CA_FILE = ENV.text("GEMINI_WEB_CA_FILE")
GEMINI_WEB_REUSE_CHATS = ENV.flag("GEMINI_WEB_REUSE_CHATS")
UPSTREAM_CONNECT_SECONDS = ENV.seconds("UPSTREAM_CONNECT_SECONDS", 10)
UPSTREAM_FIRST_BYTE_SECONDS = ENV.seconds("UPSTREAM_FIRST_BYTE_SECONDS", 120)
UPSTREAM_IDLE_SECONDS = ENV.seconds("UPSTREAM_IDLE_SECONDS", 60)
UPSTREAM_TOTAL_SECONDS = ENV.seconds("UPSTREAM_TOTAL_SECONDS", 900)

# Scheduling -----------------------------------------------------------------------
POOL_STRATEGY = ENV.choice(
    "POOL_STRATEGY", "adaptive", ("adaptive", "least_used", "round_robin")
)
QUEUE_MAX_CONCURRENCY = ENV.integer("QUEUE_MAX_CONCURRENCY", 0)
QUEUE_MAX_WAIT_MS = ENV.integer("QUEUE_MAX_WAIT_MS", 30_000)
QUEUE_MAX_WAITING = ENV.integer("QUEUE_MAX_WAITING", 1000)
PROBE_AFTER_FAILURE = ENV.flag("PROBE_AFTER_FAILURE", True)
PROBE_DELAY_SECONDS = ENV.seconds("PROBE_DELAY_SECONDS", 30)

# Pictures -------------------------------------------------------------------------
IMAGE_STORAGE_TYPE = ENV.choice(
    "IMAGE_STORAGE_TYPE", "local", ("local", "memory", "s3", "tencent", "qiniu")
)
IMAGE_STORAGE_DIR = Path(ENV.text("IMAGE_STORAGE_DIR") or VAR_DIR / "images").resolve()
IMAGE_PUBLIC_URLS = ENV.flag("IMAGE_PUBLIC_URLS")
IMAGE_URL_SECONDS = ENV.seconds("IMAGE_URL_SECONDS", 7 * 24 * 3600)
IMAGE_RETENTION_DAYS = ENV.integer("IMAGE_RETENTION_DAYS", 30, most=36_500)
IMAGE_MAX_PER_CALLER = ENV.integer("IMAGE_MAX_PER_CALLER", 0)
IMAGE_KEEP_PROMPTS = ENV.flag("IMAGE_KEEP_PROMPTS", True)
IMAGE_KEEP_ORIGINALS = ENV.flag("IMAGE_KEEP_ORIGINALS")
HISTORY_IMAGE_SUBMIT_TYPE = ENV.choice(
    "HISTORY_IMAGE_SUBMIT_TYPE", "last", ("last", "all")
)
IMAGE_KEEP_SECONDS = ENV.seconds("IMAGE_KEEP_SECONDS", 600)
IMAGE_THREADS = ENV.integer("IMAGE_THREADS", 4, least=1)
ENABLE_WATERMARK_REMOVAL = ENV.flag("ENABLE_WATERMARK_REMOVAL", True)
IMAGES_IN_CHAT = ENV.choice(
    "IMAGES_IN_CHAT", "auto", ("auto", "images", "markdown", "data_url", "both")
)
MEMORY_MAX_IMAGE_NUMBER = ENV.integer("MEMORY_MAX_IMAGE_NUMBER", 1000, least=1)
MEMORY_MAX_IMAGE_BYTES = ENV.integer("MEMORY_MAX_IMAGE_BYTES", 1 << 30, least=1)
S3_ENDPOINT_URL = ENV.text("S3_ENDPOINT_URL").rstrip("/")
S3_ACCESS_KEY_ID = ENV.secret("S3_ACCESS_KEY_ID")
S3_SECRET_ACCESS_KEY = ENV.secret("S3_SECRET_ACCESS_KEY")
S3_BUCKET = ENV.text("S3_BUCKET")
S3_REGION = ENV.text("S3_REGION")
S3_PREFIX = ENV.text("S3_PREFIX")
S3_PUBLIC_URL = ENV.text("S3_PUBLIC_URL").rstrip("/")
S3_PRESIGNED_URLS = ENV.flag("S3_PRESIGNED_URLS")
TENCENT_SECRET_ID = ENV.secret("TENCENT_SECRET_ID")
TENCENT_SECRET_KEY = ENV.secret("TENCENT_SECRET_KEY")
TENCENT_REGION = ENV.text("TENCENT_REGION")
TENCENT_BUCKET = ENV.text("TENCENT_BUCKET")
TENCENT_DOMAIN = ENV.text("TENCENT_DOMAIN")
QINIU_ACCESS_KEY = ENV.secret("QINIU_ACCESS_KEY")
QINIU_SECRET_KEY = ENV.secret("QINIU_SECRET_KEY")
QINIU_BUCKET_NAME = ENV.text("QINIU_BUCKET_NAME")
QINIU_BUCKET_DOMAIN = ENV.text("QINIU_BUCKET_DOMAIN")
QINIU_PRIVATE = ENV.flag("QINIU_PRIVATE")

# The API paths --------------------------------------------------------------------
MAX_BODY_BYTES = ENV.integer("MAX_BODY_BYTES", 64 * 1024 * 1024, least=1024)
MAX_BODIES_IN_FLIGHT_BYTES = ENV.integer(
    "MAX_BODIES_IN_FLIGHT_BYTES", 512 * 1024 * 1024, least=1024
)
STREAM_COMMIT_MS = ENV.integer("STREAM_COMMIT_MS", 10_000)
KEEP_ALIVE_SECONDS = ENV.seconds("KEEP_ALIVE_SECONDS", 10)
MAX_MEDIA_BYTES = ENV.integer("MAX_MEDIA_BYTES", 20 * 1024 * 1024, least=1024)
LEDGER_WAIT_MS = ENV.integer("LEDGER_WAIT_MS", 500)
USAGE_RETENTION_DAYS = ENV.integer("USAGE_RETENTION_DAYS", 90, least=1)
LOG_LEVEL = ENV.choice("LOG_LEVEL", "INFO", LOG_LEVELS)

# Upkeep and alerts ----------------------------------------------------------------
FAILING_ACCOUNT_DAYS = ENV.integer("FAILING_ACCOUNT_DAYS", 7, most=60)
# Render and Hugging Face put a service without visitors to sleep.
_SLEEPS = bool(ENV.text("RENDER") or ENV.text("SPACE_ID"))
KEEP_ALIVE_INTERVAL = ENV.integer("KEEP_ALIVE_INTERVAL", 10 * _SLEEPS, most=1440)
ALERT_WEBHOOK_URL = ENV.secret("ALERT_WEBHOOK_URL")
ALERT_EMAILS = ENV.items("ALERT_EMAILS")
EMAIL_URL = ENV.secret("EMAIL_URL")
_MAIL = read_mail(EMAIL_URL)
EMAIL_BACKEND, EMAIL_TIMEOUT = _MAIL.backend, 20
EMAIL_HOST, EMAIL_PORT = _MAIL.host, _MAIL.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _MAIL.user, _MAIL.password
EMAIL_USE_SSL, EMAIL_USE_TLS = _MAIL.use_ssl, _MAIL.use_tls
ALERT_FROM = sender(ENV.text("ALERT_FROM"), _MAIL.user, PUBLIC_URL)
DEFAULT_FROM_EMAIL = SERVER_EMAIL = ALERT_FROM

# Database and live state ------------------------------------------------------------
DATABASE_URL = ENV.secret("DATABASE_URL") or f"sqlite:///{VAR_DIR / 'gemproxy.sqlite3'}"
REDIS_URL = ENV.secret("REDIS_URL")
SQLITE_OPTIONS = {
    # Writers queue at BEGIN instead of failing in the middle of a transaction.
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
    " PRAGMA cache_size=-16000;",
}


def _database(url: str) -> dict[str, object]:
    try:
        # Django's pages run each request in a thread that ends with it: a connection
        # kept open there would be lost. Our own threads keep theirs (lib.db).
        config = dict(dj_database_url.parse(url, conn_max_age=0))
    except (ValueError, dj_database_url.UnknownSchemeError) as error:
        raise BadSetting("DATABASE_URL is not a database URL we know") from error
    config["CONN_HEALTH_CHECKS"] = True
    engine = str(config["ENGINE"])
    if engine.endswith("sqlite3"):
        config["OPTIONS"] = dict(SQLITE_OPTIONS)
        private_folder(Path(str(config["NAME"])).parent)
    if engine.endswith("mysql"):
        config["OPTIONS"] = {"charset": "utf8mb4", "isolation_level": "read committed"}
    return config


def _time_zone() -> str:
    name = ENV.text("TIME_ZONE", "UTC")
    if name not in zoneinfo.available_timezones():
        raise BadSetting(f"TIME_ZONE {name!r} is no time zone, such as Europe/Berlin")
    return name


def _use_pymysql() -> None:
    # Django speaks to MySQL through the MySQLdb name; PyMySQL takes that place.
    import pymysql

    pymysql.version_info = (2, 2, 7, "final", 0)
    pymysql.install_as_MySQLdb()


DATABASES = {"default": _database(DATABASE_URL)}
IS_SQLITE = str(DATABASES["default"]["ENGINE"]).endswith("sqlite3")
if str(DATABASES["default"]["ENGINE"]).endswith("mysql"):
    _use_pymysql()
if IS_SQLITE:
    # The job broker polls and writes all the time; its own file keeps it out of
    # the way of the ledger.
    _main = Path(str(DATABASES["default"]["NAME"]))
    DATABASES["jobs"] = _database(f"sqlite:///{_main.with_suffix('.jobs.sqlite3')}")
DATABASE_ROUTERS = ["gemproxy.lib.routers.JobsRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
    }
    if REDIS_URL
    else {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        # It holds the counts of failed sign-ins: making up names must not push
        # them out.
        "OPTIONS": {"MAX_ENTRIES": 50_000},
    }
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        # The layer reads for 5 s at a time, which is as long as redis-py waits unasked.
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": 20}]},
    }
    if REDIS_URL
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
}
Q_CLUSTER = {
    "name": "gemproxy",
    "label": "Jobs",
    "workers": JOB_WORKERS,
    "timeout": 300,
    "retry": 600,
    "max_attempts": 3,
    "catch_up": False,
    "save_limit": 1000,
    "poll": 1,
    "recycle": 500,
    **(
        {"redis": REDIS_URL}
        if REDIS_URL
        else {"orm": "jobs" if IS_SQLITE else "default"}
    ),
}

# Django ---------------------------------------------------------------------------
INSTALLED_APPS = [
    # daphne brings `runserver`; importing it installs a Twisted reactor, which no
    # other process should pay for.
    *(["daphne"] if sys.argv[1:2] == ["runserver"] else []),
    # Its default config would put its own admin site in place of ours.
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "gemproxy.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "django_q",
    "accounts.apps.AccountsConfig",
    "imaging.apps.ImagingConfig",
    "proxy.apps.ProxyConfig",
    "gemproxy.apps.GemproxyConfig",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "gemproxy.lib.operators.OperatorNetworkMiddleware",
]
ROOT_URLCONF = "gemproxy.urls"
ASGI_APPLICATION = "gemproxy.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "sign-in"
LANGUAGE_CODE = "en"
TIME_ZONE = _time_zone()
USE_I18N = True
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
private_folder(STATIC_ROOT)
STATICFILES_DIRS = [BASE_DIR / "templates" / "static"]
WHITENOISE_USE_FINDERS = True
SILENCED_SYSTEM_CHECKS = [
    # MariaDB has no conditional unique constraints; Plan.save keeps the rule there.
    "models.W036",
    # Whether TLS ends here or at a proxy is the operator's; SECURE follows PUBLIC_URL.
    "security.W004",
    "security.W008",
    "security.W012",
    "security.W016",
]

# Behind TLS -----------------------------------------------------------------------
_HTTPS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _HTTPS
SESSION_COOKIE_NAME = "gemproxy_session"
CSRF_COOKIE_NAME = "gemproxy_csrf"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
if TRUSTED_PROXY_HOPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "gemproxy",
    "DESCRIPTION": "One OpenAI- and Gemini-compatible API in front of Gemini accounts.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
}

LOGGING = logging_config(LOG_LEVEL)
