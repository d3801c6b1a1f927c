"""From spool to server: each take is sent, its receipt checked and kept, and only then forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from protocol.clip import AudioFinding
from protocol.errors import CodedError, Language
from protocol.tlog import ReceiptInvalid
from recorder import durable, receipts
from recorder.api import CredentialRefused
from recorder.credentials import Membership
from recorder.locks import FileLock
from recorder.spool import Spool, Take
from recorder.takes import Gap
from recorder.upload import Progress, Uploader, UploadGaveUp

State = Literal["recording", "spooled", "accepted", "refused", "kept"]


class SpoolBusy(CodedError):
    """Two programs must not send from one spool."""

    code = "SPOOL_BUSY"


@dataclass(frozen=True)
class Sent:
    """What became of one take.

    Attributes
    ----------
    state
        ``accepted`` or ``refused`` with a receipt kept here, ``spooled`` if the server was not reached,
        ``kept`` if the server or its receipt was not what it should be.
    reasons : tuple of AudioFinding
        Why it was refused, with the figures.
    error : CodedError or None
        Why the take is still here.
    """

    clip_id: str
    state: State
    reasons: tuple[AudioFinding, ...] = ()
    error: CodedError | None = None


def send_all(
    spool: Spool,
    members: Mapping[str, Membership],
    uploader_for: Callable[[Membership], Uploader],
    progress: Progress = lambda sent, total: None,
    watch: Callable[[Membership], Membership] = lambda member: member,
) -> Iterator[Sent]:
    """Send every finished take; yield what became of each.

    `watch` is called before the first take of a membership is sent; what it raises keeps that membership's
    takes here, which may be the only copies that are left. It is called again for a receipt by a key that is
    not known yet, and gives the membership with the keys that are trusted by now. A bad network or a refused
    credential ends the run for that membership, since the next take would fare the same; a fault of one take
    does not.

    Raises
    ------
    SpoolBusy
        If another program is sending from this spool.
    """
    with FileLock(spool.folder / ".send.lock") as lock:
        if not lock.held:
            raise SpoolBusy(folder=str(spool.folder))
        for damage in spool.damaged():
            yield Sent(str(damage.parameters["folder"]), "kept", error=damage)
        unreachable: dict[str, CodedError] = {}
        watched: dict[str, Membership] = {}

        def look(member: Membership) -> Membership:
            watched[member.name] = member  # an error is told once
            watched[member.name] = watch(member)
            return watched[member.name]

        for take in spool.takes():
            member = members.get(take.membership)
            if member is None:
                continue  # of a membership that was removed from this machine; `status` shows it
            if (known := unreachable.get(member.name)) is not None:
                yield Sent(take.clip_id, "spooled", error=known)
                continue
            if member.name not in watched:
                try:
                    look(member)
                except CodedError as error:
                    unreachable[member.name] = error
                    yield Sent(take.clip_id, "spooled", error=error)
                    continue
            try:
                yield _send(spool, take, watched[member.name], uploader_for(member), progress, look)
            except (UploadGaveUp, CredentialRefused) as error:
                unreachable[member.name] = error
                yield Sent(take.clip_id, "spooled", error=error)
            except CodedError as error:
                _remember(take, error)
                yield Sent(take.clip_id, "kept", error=error)


def _send(
    spool: Spool,
    take: Take,
    member: Membership,
    uploader: Uploader,
    progress: Progress,
    look: Callable[[Membership], Membership],
) -> Sent:
    answer = uploader.send(take, progress)
    data = answer.get("receipt")
    if not isinstance(data, dict):
        raise receipts.ReceiptMismatch(clip_id=take.clip_id, problem="the server gave none")
    if str(data.get("vkey")) not in member.ring:
        member = look(member)  # the key may have been replaced since
    checked = receipts.check_for(data, member.ring, take.clip_id, take.sha256)
    spool.forget(take, data, clip_id=checked.clip_id, sha256=checked.sha256)
    state: State = "accepted" if checked.decision == "accept" else "refused"
    return Sent(take.clip_id, state, checked.reasons() if state == "refused" else ())


def _remember(take: Take, error: CodedError) -> None:
    """Beside the take, for `status`: why the server would not have it."""
    if take.folder.is_dir():
        durable.write_json(take.folder / "problem.json", error.as_json())


def status(spool: Spool, language: Language = "en") -> list[dict[str, Any]]:
    """Where each clip stands, as rows for people and programs; receipts first, then what is still here."""
    rows: list[dict[str, Any]] = []
    here = {take.clip_id for take in spool.takes()}
    for path in spool.receipt_files():
        try:
            checked = receipts.check(receipts.read_file(path), ())
        except ReceiptInvalid as error:
            rows.append(
                {"clip_id": path.name.split(".")[0], "state": "kept", "error": error.as_json(language)}
            )
            continue
        if checked.clip_id in here:
            continue  # killed between receipt and forgetting; the next send ends it
        refused = checked.decision != "accept"
        rows.append(
            {
                "clip_id": checked.clip_id,
                "state": "refused" if refused else "accepted",
                "reasons": [reason.as_json(language) for reason in checked.reasons()] if refused else [],
                "receipt": str(path),
                "seq": checked.seq,
            }
        )
    rows.sort(key=lambda row: row.get("seq", -1))
    for take in spool.takes():
        rows.append({"clip_id": take.clip_id, **_waiting(take)})
    rows += [{"clip_id": folder, "state": "recording"} for folder in spool.open_names()]
    rows += [
        {"clip_id": str(damage.parameters["folder"]), "state": "kept", "error": damage.as_json(language)}
        for damage in spool.damaged()
    ]
    return rows


def _waiting(take: Take) -> dict[str, Any]:
    problem = take.problem()
    return {
        "state": "kept" if problem else "spooled",
        **({"error": problem} if problem else {}),
        "duration_s": round(take.samples / take.sample_rate_hz, 3),
        "grade": take.meta.grade,
        "snr_db": take.measurement.get("snr_db"),
        "verdict": take.verdict.get("decision"),
        "recorded_at": take.meta.recorded_at,
        "lost_ms": lost_ms(take.gaps, take.sample_rate_hz),
        "recovered": take.recovered,
        "membership": take.membership,
        "path": str(take.flac),
    }


def lost_ms(gaps: tuple[Gap, ...], sample_rate_hz: int) -> int:
    """Milliseconds known to be missing."""
    return round(1000 * sum(gap.lost_samples for gap in gaps) / sample_rate_hz)
