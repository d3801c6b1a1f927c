"""What a transcript was when it was handed in, in one digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any


def of_text(clip_id: str, text_raw: str, text: str, events: Sequence[Mapping[str, Any]], status: str) -> str:
    """SHA-256 over a transcript's clip and words; a row whose digest differs was edited by hand."""
    value = [clip_id, text_raw, text, [dict(event) for event in events or ()], status]
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
