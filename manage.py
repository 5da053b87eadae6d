#!/usr/bin/env python
"""Command line of the project."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gemproxy.settings")
    from django.core.management import execute_from_command_line

    from gemproxy.lib.env import BadSetting

    try:
        execute_from_command_line(sys.argv)
    except BadSetting as error:
        sys.exit(f"Bad setting: {error}.")


if __name__ == "__main__":
    main()
