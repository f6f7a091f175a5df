"""A TCP proxy that misbehaves on command: put it between two processes and switch what it does while they run."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Self

from tests.ports import hold_port

_CHUNK = 65_536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing then sends RST instead of FIN (socket(7))."""


class FaultProxy:
    """Listens on 127.0.0.1:``port`` and forwards to ``host``:``upstream``, in a thread of its own.

    Every switch holds for connections that come and for those that are open, until the next one::

        with FaultProxy(redis_port) as proxy:
            proxy.latency(0.2)     # each chunk waits that long, in both directions
            proxy.black_hole()     # takes connections and bytes, passes nothing on, answers nothing
            proxy.reset()          # every connection ends with RST, open ones at once
            proxy.refuse()         # nobody listens any more: ECONNREFUSED; open connections are reset
            proxy.cut_after(100)   # of each connection, 100 more bytes of answers pass, then it is closed
            proxy.heal()           # forwards again; what a black hole holds back arrives now
    """

    def __init__(self, upstream: int, host: str = "127.0.0.1") -> None:
        self.accepted = 0
        """Connections taken so far, in whatever mode."""
        self._upstream = (host, upstream)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._mode = "pass"
        self._delay = 0.0
        self._bytes_left = 0
        self._changed = asyncio.Event()
        self.port = hold_port()

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        if not self._thread.is_alive():
            return
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    def heal(self) -> None:
        self._switch("pass")

    def latency(self, seconds: float) -> None:
        self._switch("pass", delay=seconds)

    def black_hole(self) -> None:
        self._switch("black hole")

    def reset(self) -> None:
        self._switch("reset")

    def refuse(self) -> None:
        self._switch("refuse")

    def cut_after(self, count: int) -> None:
        self._switch("cut", bytes_left=count)

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._links)

    def _switch(self, mode: str, *, delay: float = 0.0, bytes_left: int = 0) -> None:
        async def switch() -> None:
            self._mode, self._delay, self._bytes_left = mode, delay, bytes_left
            for link in list(self._links):
                link.bytes_left = bytes_left
                if mode in ("reset", "refuse"):
                    link.reset()
            if mode == "refuse":
                await self._stop_listening()
            elif self._server is None:
                await self._listen()
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

        self._do(switch())

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(60)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, backlog=256)

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            await asyncio.sleep(0)

    async def _close(self) -> None:
        await self._stop_listening()
        for link in list(self._links):
            link.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = _Link(writer, self._bytes_left)
        self._links.add(link)
        task = self._loop.create_task(self._serve(link, reader))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, link: _Link, reader: asyncio.StreamReader) -> None:
        try:
            if self._mode == "reset":
                return
            await self._while_held()
            answers, upstream = await asyncio.open_connection(*self._upstream)
            link.upstream = upstream
            back = self._loop.create_task(self._pump(link, answers, link.writer, counted=True))
            with suppress(OSError):
                await self._pump(link, reader, upstream, counted=False)
            await back
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            link.reset() if self._mode == "reset" else link.close()
            self._links.discard(link)

    async def _pump(
        self, link: _Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, counted: bool
    ) -> None:
        """Carry bytes one way until its source ends, doing to them what the mode says."""
        while data := await source.read(_CHUNK):
            if self._delay:
                await asyncio.sleep(self._delay)
            await self._while_held()
            if counted and self._mode == "cut":
                data, link.bytes_left = data[: link.bytes_left], max(0, link.bytes_left - len(data))
            sink.write(data)
            await sink.drain()
            if counted and self._mode == "cut" and not link.bytes_left:
                link.close()
                return
        if sink.can_write_eof():
            sink.write_eof()

    async def _while_held(self) -> None:
        while self._mode == "black hole":
            await self._changed.wait()


class _Link:
    """One connection through the proxy."""

    def __init__(self, writer: asyncio.StreamWriter, bytes_left: int) -> None:
        self.writer = writer
        self.upstream: asyncio.StreamWriter | None = None
        self.bytes_left = bytes_left

    def reset(self) -> None:
        """End both sides with RST, at once."""
        self._each(self._reset)

    def close(self) -> None:
        """End both sides in good order."""
        self._each(lambda writer: writer.close())

    def _each(self, end: Callable[[asyncio.StreamWriter], None]) -> None:
        for writer in (self.writer, self.upstream):
            if writer is not None:
                end(writer)

    @staticmethod
    def _reset(writer: asyncio.StreamWriter) -> None:
        found = writer.get_extra_info("socket")
        with suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        writer.transport.abort()
