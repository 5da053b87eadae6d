"""Jobs of the gateway: entry points for django-q2."""

from accounts.pace import Pace
from gemproxy.lib import clock
from proxy import entries, rotation
from proxy.ledger import BATCH, read_lines
from proxy.login_upkeep import look_after_logins
from proxy.scheduling.incident_log import prune_incidents
from proxy.scheduling.store import clean_limits, clean_rests
from proxy.spool import Spool, spool_folder

RUN_SECONDS = 60.0


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


def clean_incidents() -> str:
    """Delete incidents that ended long ago."""
    pace = Pace(clock.monotonic() + RUN_SECONDS)
    prune_incidents(pace)
    return f"deleted {pace.done} incidents"


def rotate_cookies() -> str:
    """Renew the cookies of web accounts, so that their sessions last."""
    return rotation.rotate_due()


def clean_cool_downs() -> str:
    """Delete rests that are over, and limits that were learned too long ago."""
    now = clock.now()
    return f"deleted {clean_rests(now)} rests, {clean_limits(now)} learned limits"


def renew_logins() -> str:
    """Renew access tokens of Gemini CLI logins ahead of their end."""
    done = look_after_logins()
    return ", ".join(f"{n} {what}" for what, n in sorted(done.items())) or "no logins"
