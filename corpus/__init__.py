"""What is kept and what is released.

``corpus.load(folder_or_url, split=..., grade=...)`` gives the clips of a release; it needs none of the
server's libraries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corpus.loading import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    if name == "load":  # imported when it is asked for, so that the package costs nothing
        from corpus.loading import load

        return load
    raise AttributeError(f"module 'corpus' has no attribute {name!r}")
