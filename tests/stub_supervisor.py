"""A supervisor of stub programs: GRACE EXTRA FILE MODE [MODE …]."""

import logging
import sys

from gemproxy import supervision
from gemproxy.supervision import Program, Supervisor


def main(grace: str, extra: str, path: str, *modes: str) -> int:
    logging.basicConfig(level="INFO", format="%(message)s")
    supervision.EXTRA_SECONDS = float(extra)
    programs = [
        Program(name=mode, module="tests.stub_program", arguments=(mode, path))
        for mode in modes
    ]
    return Supervisor(programs, grace=float(grace)).run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
