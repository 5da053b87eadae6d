"""Jobs of the gateway: entry points for django-q2."""

from django.conf import settings

from gemproxy.lib import clock, errands
from proxy import entries, failing, leftovers, rotation, summaries
from proxy.alerts import delivery
from proxy.ledger import BATCH, read_lines
from proxy.login_upkeep import look_after_logins
from proxy.runner import JobFailed
from proxy.scheduling.store import clean_limits, clean_rests
from proxy.session_checks import check_idle
from proxy.spool import Spool, spool_folder

#: Less than what the job runner allows; what is left is for the next night.
RUN_SECONDS = 200.0


def replay_spool() -> str:
    """Store the usage rows that processes now dead had to leave in files."""
    spool = Spool(spool_folder())
    stored = refused = 0
    for lines in spool.batches(BATCH):
        rows, unfit = read_lines(lines)
        unfit += [entries.to_line(row) for row in entries.store(rows)]
        if unfit:
            spool.refuse(unfit)
        stored += len(lines) - len(unfit)
        refused += len(unfit)
    return f"{stored} rows replayed, {refused} put aside"


def clean_up() -> str:
    """Delete what had its time: see ``leftovers``."""
    return leftovers.delete_all(clock.monotonic() + RUN_SECONDS)


def disable_failing() -> str:
    """Disable accounts that have failed for days without a success."""
    return failing.disable_failing(settings.FAILING_ACCOUNT_DAYS)


def sum_up_health() -> str:
    """Keep how the last hour was."""
    return summaries.sum_up()


def keep_awake() -> str:
    """Ask the gateway's own public address, which a sleeping host counts as a visit.

    Raises JobFailed if it does not answer well.
    """
    try:
        answer = errands.get(f"{settings.PUBLIC_URL}/wake")
    except errands.ErrandFailed as error:
        raise JobFailed(f"PUBLIC_URL/wake: {error}") from None
    text = f"PUBLIC_URL/wake answered {answer.status} in {answer.seconds * 1000:.0f} ms"
    if not answer.is_good:
        raise JobFailed(text)
    return text


def send_alerts() -> str:
    """Tell operators what is new. Raises JobFailed if a channel does not take it."""
    try:
        return delivery.send_news()
    except delivery.Undelivered as trouble:
        raise JobFailed(str(trouble)) from None


def rotate_cookies() -> str:
    """Renew the cookies of web accounts, so that their sessions last, and look at
    those of which nothing was heard."""
    return ", ".join(filter(None, (rotation.rotate_due(), check_idle())))


def clean_cool_downs() -> str:
    """Delete rests that are over, and limits that were learned too long ago."""
    now = clock.now()
    return f"deleted {clean_rests(now)} rests, {clean_limits(now)} learned limits"


def renew_logins() -> str:
    """Renew access tokens of Gemini CLI logins ahead of their end."""
    done = look_after_logins()
    return ", ".join(f"{n} {what}" for what, n in sorted(done.items())) or "no logins"
