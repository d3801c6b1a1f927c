"""``/metrics``: Prometheus text, the same whichever process is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from flask import Blueprint, current_app

from corpus import counts, meters
from corpus.database import reading
from web import observing
from web.auth import public
from web.context import Reply, site

bp = Blueprint("metrics", __name__)

Sample = tuple[Mapping[str, str], float]


@bp.get("/metrics")
@public
def metrics() -> Reply:
    """What the server did since its start, by all its processes, and how its store stands now."""
    here = site()
    totals = here.meters.totals()
    with reading(here.engine) as db:
        clips, uploads = counts.clips_by_state(db), counts.uploads_by_state(db)
        erasures = counts.erasures_waiting(db)
        entries, since = counts.ledger_entries(db), counts.waiting_since(db)
    now_ms = here.clock_ms()
    lines = [
        *_histogram(totals),
        *_counter("problems", "Replies that refuse, by code.", _labelled(totals, observing.PROBLEMS, "code")),
        *_counter(
            "clips_refused",
            "Clips that were refused at intake, by reason code; one clip may have several.",
            _labelled(totals, "refused", "code"),
        ),
        *_counter(
            "decoder_ended",
            "Decodings that ended by a signal or a fault: a hostile file, a limit, a kill.",
            _labelled(totals, "decoder", "by"),
        ),
        *_gauge("clips", "Clips by state.", [({"state": k}, v) for k, v in sorted(clips.items())]),
        *_gauge("uploads", "Uploads by state.", [({"state": k}, v) for k, v in sorted(uploads.items())]),
        *_gauge("uploads_open", "Uploads that are not finished.", [({}, uploads.get("open", 0))]),
        *_gauge(
            "queue_age_seconds",
            "How long the oldest has been waiting, by what for; 0 where nothing waits.",
            [
                ({"queue": k}, 0 if ms is None else max(0, now_ms - ms) / 1000)
                for k, ms in sorted(since.items())
            ],
        ),
        *_gauge("erasures_waiting", "Sounds withdrawn, silent and not yet erased.", [({}, erasures)]),
        *_gauge("ledger_entries", "Entries of the append-only log.", [({}, entries)]),
        *_gauge("disk_free_bytes", "Room on the disk of uploads.", [({}, here.intake.free_bytes())]),
        *_gauge("disk_reserve_bytes", "Room that uploads leave.", [({}, here.settings.disk_reserve_bytes)]),
        *_gauge("build_info", "The version.", [({"version": current_app.config["XIANGYIN_VERSION"]}, 1)]),
    ]
    headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Cache-Control": "no-store"}
    return "\n".join(lines) + "\n", 200, headers


def _histogram(totals: Mapping[meters.Key, Sequence[float]]) -> Iterator[str]:
    name = "xiangyin_request_seconds"
    yield f"# HELP {name} Time until a reply begins, by method, route and status."
    yield f"# TYPE {name} histogram"
    for key, values in sorted(totals.items()):
        if key[0] != observing.REQUESTS or len(key) != 4:
            continue
        labels = dict(zip(("method", "route", "status"), key[1:], strict=True))
        count = 0.0
        for bound, value in zip((*map(str, meters.BOUNDS_S), "+Inf"), values, strict=False):
            count += value
            yield f"{name}_bucket{_braced({**labels, 'le': bound})} {count:.0f}"
        yield f"{name}_sum{_braced(labels)} {values[meters.SUM]:.6f}"
        yield f"{name}_count{_braced(labels)} {count:.0f}"


def _labelled(totals: Mapping[meters.Key, Sequence[float]], name: str, label: str) -> list[Sample]:
    return [({label: key[1]}, values[0]) for key, values in sorted(totals.items()) if key[0] == name]


def _counter(name: str, says: str, samples: Sequence[Sample]) -> Iterator[str]:
    return _family(f"{name}_total", "counter", says, samples)


def _gauge(name: str, says: str, samples: Sequence[Sample]) -> Iterator[str]:
    return _family(name, "gauge", says, samples)


def _family(name: str, kind: str, says: str, samples: Sequence[Sample]) -> Iterator[str]:
    yield f"# HELP xiangyin_{name} {says}"
    yield f"# TYPE xiangyin_{name} {kind}"
    for labels, value in samples:
        yield f"xiangyin_{name}{_braced(labels)} {value:.15g}"


def _braced(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
