"""A network that breaks off once: passes bytes on, and cuts the connection in the middle of an upload."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType

_PIECE_BYTES = 16 * 1024


class CuttingRelay:
    """Listens on a free local port, relays to a server, and cuts one connection.

    Threads: one accepts, two a connection pump bytes; all end with the relay.

    Parameters
    ----------
    target : tuple of str and int
        Host and port of the server.
    chunk_bytes : int
        Size of an upload's chunk. Once one has passed whole, the connection is cut in the middle of the
        next, so that there is something to resume from.
    """

    def __init__(self, target: tuple[str, int], chunk_bytes: int) -> None:
        self.cuts = 0
        self._target = target
        self._chunk_bytes = chunk_bytes
        self._chunk_passed = False
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> CuttingRelay:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # closed: the demonstration is over
            far = socket.create_connection(self._target)
            for source, sink, counted in ((near, far, True), (far, near, False)):
                threading.Thread(target=self._pump, args=(source, sink, counted), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):  # either side may go at any time; that is what a relay is for
            while piece := source.recv(_PIECE_BYTES):
                passed += len(piece)
                if counted and self._cuts_now(passed):
                    break
                sink.sendall(piece)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _cuts_now(self, passed_bytes: int) -> bool:
        with self._lock:
            new_connection = passed_bytes < self._chunk_bytes
            beyond = passed_bytes if new_connection else passed_bytes - self._chunk_bytes
            if not new_connection:
                self._chunk_passed = True
            if self.cuts or not self._chunk_passed or beyond < self._chunk_bytes // 4:
                return False
            self.cuts += 1
            return True
