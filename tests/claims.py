"""What a client says of a clip, where a test is about its sound."""

from __future__ import annotations

from protocol.clip import ClipMeta

META = ClipMeta.from_json(
    {
        "session_id": "s1",
        "recording_id": "r1",
        "style": "monologue",
        "grade": "quiet",
        "consent_version": "consent-1",
        "recorded_at": "2026-01-31T08:00:00Z",
        "lead_in_s": 0.5,
    }
)
