"""The fault lab: what a caller meets when an upstream account fails, row by row.

``rows`` says what must happen, ``runner`` makes it happen on a gateway whose upstream
is the sandbox, and ``sheet`` says how it went.
"""
