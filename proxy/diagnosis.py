"""What `doctor` looks at: one finding per check, with what to do about it."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import redis
from django.conf import settings
from django.core import checks
from django.db import DatabaseError, connections
from django_q.models import Schedule, Task

from accounts.models import Account
from gemproxy import migrating, setup
from gemproxy.lib import clock
from gemproxy.lib.redaction import redact
from gemproxy.lib.secrets import SecretUnreadable
from imaging import trial
from imaging.storages.kinds import lacking
from proxy import schedules
from proxy.alerts.channels import in_use
from proxy.errors import Fault
from proxy.models import Alert
from proxy.scheduling.account_rows import config_of
from proxy.scheduling.pool import make_adapter
from proxy.spool import REFUSED, SUFFIX, spool_folder
from proxy.upstreams.base import AccountConfig, Timeouts
from proxy.upstreams.http import Clients

Level = Literal["OK", "WARN", "FAIL"]

OVERDUE_SECONDS = 15 * 60
PROBE = Timeouts(connect=10, first_byte=30, idle=30, total=45)
AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check; ``advice`` is empty when all is well."""

    level: Level
    subject: str
    text: str
    advice: str = ""

    def __str__(self) -> str:
        advice = f" → {self.advice}" if self.advice else ""
        return f"{self.level:<4} {self.subject}: {self.text}{advice}"


def examine() -> Iterator[Finding]:
    """Yield the findings; those that need the database only if it can be used."""
    yield from configuration()
    yield from var_folder()
    yield from redis_server()
    yield from image_storage()
    database = list(databases())
    yield from database
    if any(finding.level == "FAIL" for finding in database):
        return
    for check in (
        operator,
        stored_secrets,
        declared_schedules,
        alert_channels,
        ledger_spool,
    ):
        yield from check()


def configuration() -> Iterator[Finding]:
    """Run the system checks."""
    found = checks.run_checks(include_deployment_checks=False)
    for message in found:
        if message.is_silenced() or message.level < checks.WARNING:
            continue
        yield Finding(
            level="FAIL" if message.level >= checks.ERROR else "WARN",
            subject="configuration",
            text=f"{message.id}: {message.msg}",
            advice=message.hint or "",
        )
    if not any(message.is_serious() for message in found):
        yield Finding(level="OK", subject="configuration", text="no errors")


def var_folder() -> Iterator[Finding]:
    """Write a file where keys, copies and the spool go."""
    folder = Path(settings.VAR_DIR)
    trial = folder / f".doctor-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial.write_text("doctor")
        trial.unlink()
    except OSError as error:
        yield Finding(
            level="FAIL",
            subject="VAR_DIR",
            text=f"{folder} cannot be written: {error.strerror}",
            advice="give its owner the right to write, or set VAR_DIR elsewhere",
        )
        return
    yield Finding(level="OK", subject="VAR_DIR", text=f"{folder} is writable")


def redis_server() -> Iterator[Finding]:
    """Ask Redis for a sign of life, if there is one to ask."""
    if not settings.REDIS_URL:
        text = "not used; one server process on one machine is right"
        yield Finding(level="OK", subject="Redis", text=text)
        return
    try:
        with redis.from_url(settings.REDIS_URL, socket_timeout=5) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        yield Finding(
            level="FAIL",
            subject="Redis",
            text=redact(str(error)),
            advice="start it, correct REDIS_URL, or leave REDIS_URL empty",
        )
        return
    yield Finding(level="OK", subject="Redis", text="answers")


def image_storage() -> Iterator[Finding]:
    """Have the storage of pictures take, give and delete one."""
    if lacking(settings.IMAGE_STORAGE_TYPE):
        return  # The configuration's finding says which settings it needs.
    try:
        text = trial.round_trip()
    except trial.TrialFailed as failed:
        yield Finding(
            level="FAIL", subject="pictures", text=str(failed), advice=failed.advice
        )
        return
    yield Finding(level="OK", subject="pictures", text=text)


def databases() -> Iterator[Finding]:
    """Connect to every database and compare its migrations with the code's."""
    for alias in connections:
        subject = f"database {alias}"
        try:
            with connections[alias].cursor() as cursor:
                cursor.execute("SELECT 1")
            names = migrating.pending(alias)
        except DatabaseError as error:
            yield Finding(
                level="FAIL",
                subject=subject,
                text=redact(str(error)).strip().replace("\n", " "),
                advice="start it or correct DATABASE_URL",
            )
            continue
        if names:
            yield Finding(
                level="FAIL",
                subject=subject,
                text=f"{len(names)} migrations are missing, first {names[0]}",
                advice="start once with: manage.py serve --migrate",
            )
            continue
        vendor = connections[alias].display_name
        yield Finding(level="OK", subject=subject, text=f"{vendor}, up to date")


def operator() -> Iterator[Finding]:
    """There must be somebody who can sign in to admin."""
    count = setup.operators().count()
    if count:
        yield Finding(level="OK", subject="operator", text=f"{count} can sign in")
        return
    yield Finding(
        level="FAIL",
        subject="operator",
        text="nobody can sign in to admin",
        advice="open the link that `serve` prints, set ADMIN_USER and ADMIN_PASSWORD,"
        " or run: manage.py createsuperuser",
    )


def stored_secrets() -> Iterator[Finding]:
    """Open every stored credential with the encryption keys."""
    accounts = list(Account.objects.all())
    closed = [account for account in accounts if _readable(account) is None]
    for account in closed:
        yield Finding(
            level="FAIL",
            subject="encryption",
            text=f"no key opens the secret of account {account.pk} ({account})",
            advice="put the key it was stored with into ENCRYPTION_KEYS, or enter the"
            " credential again",
        )
    if not closed:
        text = f"the keys open all {len(accounts)} stored credentials"
        yield Finding(level="OK", subject="encryption", text=text)
    if not any(account.state in Account.USABLE for account in accounts):
        yield Finding(
            level="WARN",
            subject="accounts",
            text="no upstream account is usable",
            advice="add one in admin, by import_accounts, or set GEMINI_API_KEYS",
        )


def _readable(account: Account) -> AccountConfig | None:
    try:
        return config_of(account)
    except SecretUnreadable:
        return None


def declared_schedules() -> Iterator[Finding]:
    """Every declared schedule must be stored, due in the future and succeeding."""
    stored = {row.name: row for row in Schedule.objects.all()}
    missing = sorted({job.title for job in schedules.JOBS} - stored.keys())
    if missing:
        yield Finding(
            level="FAIL",
            subject="schedules",
            text=f"not stored: {', '.join(missing)}",
            advice="run: manage.py sync_schedules",
        )
    late = [row for row in stored.values() if _overdue(row)]
    if late:
        yield Finding(
            level="WARN",
            subject="schedules",
            text=f"overdue: {', '.join(sorted(row.name for row in late))}",
            advice="the job worker does not run: start `serve` (or `--only jobs`)",
        )
    broken = [f"{row.name or row.pk}: {why}" for row, why in schedules.broken_rows()]
    if broken:
        yield Finding(
            level="FAIL",
            subject="schedules",
            text=f"cannot run: {'; '.join(broken)}",
            advice="run: manage.py sync_schedules; correct or delete those of your own",
        )
    failing = sorted(name for name, row in stored.items() if _failed_last(row))
    if failing:
        yield Finding(
            level="WARN",
            subject="schedules",
            text=f"failed at the last run: {', '.join(failing)}",
            advice="see Failed jobs in admin",
        )
    if not missing and not late and not broken and not failing:
        yield Finding(level="OK", subject="schedules", text=f"{len(stored)} on time")


def alert_channels() -> Iterator[Finding]:
    """Say who is told of trouble, and whether the last alerts reached them."""
    names = [Alert.Channel(name).label.lower() for name in in_use()]
    failed = Alert.objects.filter(next_try_at__isnull=False).exclude(error="").first()
    if failed is not None:
        yield Finding(
            level="WARN",
            subject="alerts",
            text=f"not delivered by {failed.get_channel_display()}: {failed.error}",
            advice="correct ALERT_WEBHOOK_URL or EMAIL_URL; try it with:"
            " manage.py send_test_alert",
        )
        return
    text = f"sent by {' and '.join(names)}" if names else "nobody is told of trouble"
    yield Finding(level="OK", subject="alerts", text=text)


def _overdue(row: Schedule) -> bool:
    if not row.repeats or row.next_run is None:
        return False
    return (clock.now() - row.next_run).total_seconds() > OVERDUE_SECONDS


def _failed_last(row: Schedule) -> bool:
    last = Task.objects.filter(id=row.task).first() if row.task else None
    return last is not None and not last.success


def ledger_spool() -> Iterator[Finding]:
    """Usage rows that could not be stored wait in files."""
    folder = spool_folder()
    waiting = [path for path in folder.glob(f"*{SUFFIX}") if path.stat().st_size]
    refused = folder / REFUSED
    if waiting:
        yield Finding(
            level="WARN",
            subject="ledger",
            text=f"{len(waiting)} files of usage rows wait in {folder}",
            advice="a running server stores them once the database takes them",
        )
    if refused.exists():
        yield Finding(
            level="WARN",
            subject="ledger",
            text=f"{refused} holds rows that the database refused",
            advice="look at them, then delete the file",
        )
    if not waiting and not refused.exists():
        yield Finding(level="OK", subject="ledger", text="nothing waits to be stored")


def live(report: Callable[[Finding], None]) -> None:
    """Make one call for every account that is not disabled; report each result."""
    rows = Account.objects.exclude(state=Account.State.DISABLED)
    named = [(str(row), config) for row in rows if (config := _readable(row))]
    asyncio.run(_probe_all(named, report))


async def _probe_all(
    named: list[tuple[str, AccountConfig]], report: Callable[[Finding], None]
) -> None:
    clients = Clients()
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(name: str, config: AccountConfig) -> None:
        async with gate:
            report(await _probe(name, config, clients))

    try:
        async with asyncio.TaskGroup() as group:
            for name, config in named:
                group.create_task(one(name, config))
    finally:
        await clients.aclose()


async def _probe(name: str, config: AccountConfig, clients: Clients) -> Finding:
    subject = f"account {config.id} ({name})"
    adapter = make_adapter(config.kind, clients)
    began = clock.monotonic()
    try:
        models = await adapter.probe(config, PROBE)
    except Fault as fault:
        return Finding(
            level="FAIL",
            subject=subject,
            text=f"{fault.code}: {redact(str(fault))}",
            advice="replace its credential, or wait if the provider has trouble",
        )
    took = (clock.monotonic() - began) * 1000
    return Finding(
        level="OK", subject=subject, text=f"{len(models)} models in {took:.0f} ms"
    )
