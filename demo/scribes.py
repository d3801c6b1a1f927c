"""Transcribers and reviewers of the demonstration: people at the desk, over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from recorder.api import Api, ServerRefused

Typing = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True)
class Done:
    """One text handed in.

    `mended` lists the codes that were fixed by themselves, `refused` those that the person had to mend.
    """

    clip_id: str
    stage: str
    typed: str
    text: str
    mended: tuple[str, ...]
    refused: tuple[str, ...]


def work(api: Api, types: Typing, means: Typing) -> list[Done]:
    """Take clips until none is left: hear, type, look at the findings, mend, hand in.

    Parameters
    ----------
    api : Api
        Signed in as the person.
    types, means : callable
        From an assignment to what the person types at first, and to what they mean to write, which is what
        they correct to when the rules refuse the first.
    """
    done: list[Done] = []
    while True:
        answer = api.send("POST", "/api/v1/assignments", json={})
        if answer.status_code == 204:
            return done
        done.append(_one(api, answer.json(), types, means))


def _one(api: Api, task: Mapping[str, Any], types: Typing, means: Typing) -> Done:
    sound = api.send("GET", f"/api/v1/clips/{task['clip_id']}/audio", headers={"Range": "bytes=0-65535"})
    sound.raise_for_status()
    place = f"/api/v1/assignments/{task['id']}"
    typed = types(task)
    saved = api.json(api.send("PUT", place, json={"text": typed, "version": task["version"]}))
    refused: tuple[str, ...] = ()
    try:
        handed = api.post(f"{place}/submit", {"text": typed, "version": saved["version"]})
    except ServerRefused as refusal:
        errors = (f["code"] for f in saved["findings"] if f["severity"] == "error")
        refused = tuple(dict.fromkeys(errors))
        if not refused:
            raise refusal from None
        held = api.get(place)
        handed = api.post(f"{place}/submit", {"text": means(task), "version": held["version"]})
    return Done(task["clip_id"], task["stage"], typed, handed["text"], tuple(handed["applied"]), refused)
