"""What can keep the benchmark from running."""


class BenchError(Exception):
    """Something did not build, start or answer; the text says what."""
