"""The log over HTTP, and a client that kept a head: growth is fine, rollback and rewriting are told."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from corpus import ledger, ledger_check, tables
from corpus.database import begin
from protocol import tlog
from recorder import loghead
from recorder.loghead import LedgerRewritten, LedgerRolledBack


class Asked:
    """What `watch` needs of the recorder's Api, over Flask's test client."""

    server = "http://test"

    def __init__(self, app) -> None:
        self.client = app.test_client()

    def get(self, path: str):
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.get_json()


@pytest.fixture
def known(app, site, speaker, make, tmp_path):
    """A client with two receipts of a log of three entries."""
    paths = []
    for number in range(2):
        sent = speaker.send(make.clip(b"no sound %d" % number))
        path = tmp_path / f"{number}.receipt.json"
        path.write_text(json.dumps(sent["receipt"]))
        paths.append(path)

    def watch():
        vkeys = [str(site.signer.verifier)]
        return loghead.watch(Asked(app), vkeys, tmp_path / "heads", paths)

    return watch


def test_a_log_that_grew_is_taken_on(known, speaker, make):
    assert known().size == 2
    for number in range(3):
        speaker.send(make.clip(b"more %d" % number))
        assert known().size == 3 + number


def cut(site, size: int) -> None:
    """Undo the last entries, as a restored old backup does."""
    t = tables
    with begin(site.engine) as db:
        db.execute(sa.delete(t.ledger_detail).where(t.ledger_detail.c.seq >= size))
        db.execute(sa.delete(t.ledger_entry).where(t.ledger_entry.c.seq >= size))
        db.execute(sa.delete(t.ledger_head).where(t.ledger_head.c.size > size))
        for level, position, _ in ledger_check.wrong_nodes(db):
            same = (t.ledger_node.c.level == level) & (t.ledger_node.c.position == position)
            db.execute(sa.delete(t.ledger_node).where(same))


@pytest.mark.parametrize("size", [0, 1])
def test_a_rollback_is_told(known, site, size):
    cut(site, size)
    with pytest.raises(LedgerRolledBack) as caught:
        known()
    assert (caught.value.parameters["older"], caught.value.parameters["newer"]) == (2, size)


@pytest.mark.parametrize("grown", [0, 1, 5])
def test_a_rewritten_log_is_told_also_when_it_grew_again(known, site, grown):
    known()
    cut(site, 1)
    with begin(site.engine) as db:
        for number in range(1 + grown):
            entry = ledger.Entry("refused", f"other{number}", {})
            ledger.append(db, entry, salt=bytes(16), now_ms=1)
        ledger.sign_head(db, site.signer, now_ms=1)
    with pytest.raises(LedgerRewritten):
        known()
    with pytest.raises(LedgerRewritten):
        known()  # what was seen stays what was seen


def test_the_proof_of_every_pair_of_lengths_holds(app, site):
    with begin(site.engine) as db:
        roots = [tlog.EMPTY_ROOT]
        for number in range(6):
            ledger.append(db, ledger.Entry("refused", f"i{number}", {}), salt=bytes(16), now_ms=1)
            entries = [text.encode() for text in ledger.leaves(db)]
            roots.append(tlog.root(number + 1, tlog.tree_of(entries)))
    import base64

    for new in range(7):
        for old in range(new + 1):
            rows = Asked(app).get(f"/api/v1/ledger/proof?from={old}&to={new}")["hashes"]
            hashes = [base64.b64decode(row) for row in rows]
            assert tlog.verify_consistency(old, new, hashes, roots[old], roots[new])


@pytest.mark.parametrize("query", ["", "?from=2&to=1", "?from=0&to=9", "?from=-1&to=0", "?from=1_0&to=0"])
def test_lengths_that_are_none_are_refused(app, site, query):
    answer = app.test_client().get(f"/api/v1/ledger/proof{query}")
    assert (answer.status_code, answer.get_json()["code"]) == (400, "REQUEST_INVALID")


def test_entries_are_for_operators_and_are_the_leaves(site, join, speaker, make):
    speaker.send(make.clip(b"no sound"))
    path = "/api/v1/ledger/entries?from=0&count=10"
    assert speaker.ask("GET", path).status_code == 403
    found = join("operator", None).ask("GET", path).get_json()
    with begin(site.engine) as db:
        assert found == {"entries": list(ledger.leaves(db)), "size": 1}
