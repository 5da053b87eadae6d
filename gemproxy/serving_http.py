"""uvicorn's HTTP protocol with the patience of a server that strangers can reach."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# How long a connection may take to bring the head of a request.
HEAD_SECONDS = 30.0
# The parser itself would take a head of any size.
LARGEST_HEAD = 64 * 1024
# How long a client may take nothing of what waits for it.
WRITE_SECONDS = 60.0

HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class HeadTooLarge(Exception):
    """The request line and headers are over the bound."""


class PatientProtocol(HttpToolsProtocol):
    """One connection. Closed when its head is too large or too slow to come, aborted
    when the client takes nothing any more."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._head_size = 0
        self._read_size = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._unsent = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._read_size = len(data)
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._count_head(len(data))

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_size = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_head_timer()
        # One read may bring a head that is too large; small reads need no counting.
        if self._read_size > LARGEST_HEAD and self._length() > LARGEST_HEAD:
            raise HeadTooLarge
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        if self._length() > LARGEST_HEAD:
            self._refuse_head()
        else:
            super().send_400_response(msg)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_write_timer()

    def resume_writing(self) -> None:
        self._stop_write_timer()
        super().resume_writing()

    def _count_head(self, size: int) -> None:
        """Bound a head that needs several reads, in size and in time."""
        self._head_size += size
        if self._head_size > LARGEST_HEAD:
            self._refuse_head()
        elif self._head_timer is None:
            self._start_head_timer()

    def _length(self) -> int:
        if self.headers is None:
            return 0
        return len(self.url) + sum(len(n) + len(v) for n, v in self.headers)

    def _refuse_head(self) -> None:
        self._in_head = False
        self.transport.write(HEAD_TOO_LARGE)
        self.transport.close()

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        self.transport.close()

    def _start_write_timer(self) -> None:
        self._stop_write_timer()
        self._unsent = self.transport.get_write_buffer_size()
        self._write_timer = self.loop.call_later(WRITE_SECONDS, self._check_progress)

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _check_progress(self) -> None:
        """Abort unless some of what waited is gone: closing would wait for ever."""
        self._write_timer = None
        if self.transport.get_write_buffer_size() < self._unsent:
            self._start_write_timer()
        else:
            self.transport.abort()
