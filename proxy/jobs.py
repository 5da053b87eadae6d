"""Jobs of the gateway: entry points for django-q2."""

from proxy import entries
from proxy.ledger import BATCH, read_lines
from proxy.spool import Spool, spool_folder


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
