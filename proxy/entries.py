"""Finished requests as the ledger takes them, and the statement that stores many."""

import datetime
import functools
import json
import logging
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

import orjson
from django.db import DataError, IntegrityError, connection, models, transaction

from accounts.models import UsageRecord

logger = logging.getLogger(__name__)

LARGEST = {"PositiveSmallIntegerField": 32_767, "PositiveIntegerField": 2_147_483_647}
Adapter = Callable[[Any], Any]
#: What a row itself is to blame for; anything else is the database's doing.
UNFIT = (
    DataError,
    IntegrityError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
)


@dataclass(slots=True, kw_only=True)
class Entry:
    """One finished request: the columns of UsageRecord at a tenth of its cost."""

    request_id: str
    started_at: datetime.datetime
    surface: str
    method: str
    model_asked: str
    status: int
    outcome: str
    duration_ms: int = 0
    first_token_ms: int | None = None
    streamed: bool = False
    model_served: str = ""
    kind: str = ""
    account_id: int | None = None
    token_id: int | None = None
    user_id: int | None = None
    cause: str = ""
    blame: str = ""
    finish: str = ""
    attempts: list[dict[str, Any]] = field(default_factory=list)
    decision: dict[str, Any] = field(default_factory=dict)
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    thoughts_tokens: int = 0
    tool_use_tokens: int = 0
    total_tokens: int = 0
    images: int = 0
    usage_metadata: dict[str, Any] = field(default_factory=dict)
    client_ip: str = ""
    user_agent: str = ""


NAMES = frozenset(column.name for column in fields(Entry))
REQUIRED = frozenset(
    column.name
    for column in fields(Entry)
    if column.default is MISSING and column.default_factory is MISSING
)


def to_line(entry: Any) -> bytes:
    """Return an entry (or an unsaved UsageRecord) as one line of JSON."""
    values = {name: getattr(entry, name, None) for name in NAMES}
    return json.dumps(values, default=str).encode() + b"\n"


def from_line(line: bytes) -> Entry:
    """Read what ``to_line`` wrote; names of another version are passed over.

    Raises ValueError for anything else.
    """
    values = json.loads(line)
    if not isinstance(values, dict) or not values.keys() >= REQUIRED:
        raise ValueError("not an entry")
    values = {name: value for name, value in values.items() if name in NAMES}
    try:
        at = datetime.datetime.fromisoformat(values["started_at"])
    except TypeError as error:
        raise ValueError("started_at is no time") from error
    return Entry(**values | {"started_at": at})


def store(entries: Sequence[Any]) -> list[Any]:
    """Insert entries in one transaction; rows that are there already stay.

    Returns the entries that the database refuses for what is in them. Raises
    django.db.Error when the database itself is the trouble.
    """
    if not entries:
        return []
    try:
        _insert(entries)
    except UNFIT:
        logger.warning("%d usage rows refused together: one by one", len(entries))
        return [entry for entry in entries if not _fits(entry)]
    return []


def _fits(entry: Any) -> bool:
    try:
        _insert([entry])
    except UNFIT:
        logger.exception("A usage row cannot be stored: %s", entry.request_id)
        return False
    return True


def _insert(entries: Iterable[Any]) -> None:
    values_of, adapters = _columns(connection.vendor)
    rows = [
        [adapt(value) for adapt, value in zip(adapters, values_of(entry), strict=True)]
        for entry in entries
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(_statement(connection.vendor), rows)


@functools.cache
def _statement(vendor: str) -> str:
    quote = connection.ops.quote_name
    names = [quote(column.column) for column in _stored_fields()]
    # MySQL's INSERT IGNORE would also cut and bend values without a word.
    request_id = quote("request_id")
    ignore = (
        f"ON DUPLICATE KEY UPDATE {request_id} = {request_id}"
        if vendor == "mysql"
        else f"ON CONFLICT ({request_id}) DO NOTHING"
    )
    table = quote(UsageRecord._meta.db_table)
    marks = ", ".join(["%s"] * len(names))
    # Only names of our own model go into the text.
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks}) {ignore}"  # noqa: S608


def _stored_fields() -> list[models.Field]:
    return [f for f in UsageRecord._meta.concrete_fields if not f.primary_key]


@functools.cache
def _columns(
    vendor: str,
) -> tuple[Callable[[Any], tuple[Any, ...]], tuple[Adapter, ...]]:
    """Return what reads an entry's values, and what makes each fit to be stored."""
    columns = _stored_fields()
    values_of = operator.attrgetter(*(column.attname for column in columns))
    return values_of, tuple(_adapter(column, vendor) for column in columns)


def _adapter(column: models.Field, vendor: str) -> Adapter:
    if isinstance(column, models.CharField):
        return functools.partial(_text, column.max_length)
    most = LARGEST.get(column.get_internal_type())
    if most:
        return functools.partial(_count, most)
    if isinstance(column, models.ForeignKey):
        return _same
    if isinstance(column, models.JSONField) and vendor != "postgresql":
        return functools.partial(_json, column)
    return functools.partial(_prepared, column)


def _text(length: int, value: Any) -> str:
    """Return text that every database takes: short enough, no NUL, no surrogates."""
    text = str(value)[:length]
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _count(most: int, value: int | None) -> int | None:
    if value is None or 0 <= value <= most:
        return value
    return 0 if value < 0 else most


def _same(value: Any) -> Any:
    return value


def _json(column: models.Field, value: Any) -> Any:
    try:
        return orjson.dumps(value).decode() if value is not None else None
    except TypeError:
        # Text or keys that only the slower way knows how to write.
        return _prepared(column, value)


def _prepared(column: models.Field, value: Any) -> Any:
    return column.get_db_prep_save(value, connection)
