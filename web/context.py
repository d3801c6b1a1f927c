"""What every view may use, and how a view declares itself.

A view lives in a module of ``web/`` with a Blueprint ``bp`` that `server.create_app` registers::

    bp = Blueprint("things", __name__)

    @bp.post("/api/v1/things")
    @require("reviewer", "operator")                       # or @public; a view with neither is refused
    @describes("Makes a thing.", body=THING_IN, answer=THING, status=201, errors=("THING_TAKEN",))
    def make_thing() -> Reply:
        body = json_body(THING_IN)                         # strict: no NaN, surrogate, deep nest; checked
        with begin(site().engine) as db:
            return things.make(db, member(), body["name"], now_ms=site().clock_ms()), 201

`describes` is where ``openapi.json`` comes from (`web.openapi` has the small words for schemas);
`member()` is who asks; `require` answers 401, 403 and demands the header ``X-Xiangyin: 1`` or a form's
``csrf`` field (``csrf_token()`` in templates) wherever a cookie signed the request in. Raise a
`CodedError` for everything that is wrong: `web.problems` makes the reply, in the person's language.
In templates a script or style needs ``nonce="{{ csp_nonce() }}"``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from flask import current_app, g

from corpus.database import Engine
from corpus.people import Member
from corpus.settings import Settings
from corpus.store import BlobStore
from corpus.waiting_room import Room

if TYPE_CHECKING:
    from corpus.intake import Intake
    from corpus.keys import Signer
    from corpus.meters import Meters
    from corpus.shelf import Shelf
    from corpus.withdrawal import Custody

Reply: TypeAlias = Any  # what Flask takes from a view


@dataclass(frozen=True)
class Site:
    """The parts of a running server, made once by `server.create_app`.

    Attributes
    ----------
    room : Room
        What this process may hold of bodies that are still coming in.
    clock_ms : callable
        Milliseconds since 1970 UTC; the only clock that views use.
    random_hex : callable
        ``random_hex(n)`` gives 2n random hexadecimal digits.
    signer : Signer
        One of the log's Ed25519 keys; `corpus.keyring.current` says which of them signs now.
    secret : bytes
        The server's own secret, for tokens that must come out the same twice.
    """

    settings: Settings
    engine: Engine
    store: BlobStore
    clock_ms: Callable[[], int]
    random_hex: Callable[[int], str]
    signer: Signer
    secret: bytes
    intake: Intake
    shelf: Shelf
    custody: Custody
    meters: Meters
    room: Room


def site() -> Site:
    """The site that answers this request."""
    return cast(Site, current_app.extensions["xiangyin"])


def member() -> Member:
    """Who asks; only in views that `require` a role."""
    return cast(Member, g.member)
