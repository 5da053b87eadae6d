"""The benchmark of the gateway: `python -m tests.bench`."""
