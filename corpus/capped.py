"""waitress's reader of requests, made to keep no more of a body than its route and the server's room take.

waitress takes a body in whole, beyond half a megabyte into a file, before anything of ours knows who asks.
Here a body that is too long for its route, or for which there is no room, is read to its end and dropped,
so that the connection stays in step and the application refuses in its own words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import waitress.parser  # type: ignore[import-untyped]

from corpus.waiting_room import Body, Room

Kept = Callable[[str, str, Mapping[str, str]], tuple[int, str]]
"""``(method, path, headers)`` -> the longest body of it that is kept, and whose share of room it takes."""


def parser_class(kept: Kept, room: Room) -> type:
    """A request parser whose bodies are capped by route and by room."""

    class CappedParser(waitress.parser.HTTPRequestParser):  # type: ignore[misc]
        def parse_header(self, header_plus: bytes) -> None:
            super().parse_header(header_plus)
            if self.body_rcv is None:
                return
            most_bytes, who = kept(self.command, self.path, self.headers)
            # Of a body that says at once that it is too long not even the beginning is kept.
            most_bytes = 0 if not self.chunked and self.content_length > most_bytes else most_bytes
            self.body_rcv.buf = Body(room, who, most_bytes)

    return CappedParser
