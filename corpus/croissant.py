"""``croissant.json``: the release for machines, in Croissant 1.1 (JSON-LD), from its header and files alone.

The files with their digests, the sounds as a set, the rows of manifest, speakers and rooms as records, and
the three splits as an enumeration that the records refer to [1]_.

References
----------
.. [1] MLCommons, Croissant format specification 1.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from corpus import fields, header
from corpus.header import FileEntry, Header, Room, Speaker, citation
from corpus.manifest import FILE_NAME, SPLITS, Line

_PARQUET = "manifest.parquet"
_LISTED = (FILE_NAME, _PARQUET, header.SPEAKERS_NAME, header.SESSIONS_NAME, header.TOMBSTONES_NAME)
_FORMATS = {"jsonl": "application/jsonlines", "parquet": "application/vnd.apache.parquet"}
_CROISSANT = (
    "arrayShape citeAs column containedIn equivalentProperty extract field fileObject fileProperty fileSet"
    " format includes isArray isLiveDataset jsonPath key md5 parentField path recordSet references regex"
    " repeated replace samplingRate separator source subField transform"
)
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{word: f"cr:{word}" for word in _CROISSANT.split()},
}


def describe(head: Header, files: Mapping[str, FileEntry]) -> bytes:
    """The description of a release whose other files are `files`."""
    words = f"{head.title}: speech in {head.language} with transcripts and measured noise."
    value = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": head.name,
        "description": words,
        "license": [f"https://spdx.org/licenses/{name}" for name in head.licenses],
        "url": f"urn:xiangyin:{head.project}:{head.name}",
        "version": f"{head.revision}.0.0",
        "datePublished": head.created_at,
        "creator": {"@type": "sc:Organization", "name": head.title},
        "citeAs": citation(head),
        "inLanguage": head.language,
        "isLiveDataset": False,
        "distribution": [*(_file(name, files[name]) for name in _LISTED), _SOUNDS],
        "recordSet": [_SPLIT_RECORDS, _CLIPS, _SPEAKERS, _ROOMS],
    }
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


_SOUNDS = {
    "@type": "cr:FileSet",
    "@id": "audio",
    "name": "audio",
    "description": "One FLAC file a clip, named by its SHA-256.",
    "encodingFormat": "audio/flac",
    "includes": "audio/*/*.flac",
}
_SPLIT_RECORDS = {
    "@type": "cr:RecordSet",
    "@id": "splits",
    "name": "splits",
    "dataType": "cr:Split",
    "key": {"@id": "splits/name"},
    "field": [{"@type": "cr:Field", "@id": "splits/name", "name": "name", "dataType": "sc:Text"}],
    "data": [{"splits/name": name} for name in SPLITS],
}


def _file(name: str, entry: FileEntry) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{entry.bytes} B",
        "encodingFormat": _FORMATS[name.rsplit(".", 1)[-1]],
        "sha256": entry.sha256,
    }


def _records(
    name: str, file: str, row: type[msgspec.Struct], words: str, meanings: Mapping[str, str], key: str | None
) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": words,
        **({"key": {"@id": f"{name}/{key}"}} if key else {}),
        "field": [
            _field(name, file, field, str(kind), meanings[field])
            for field, kind in row.__annotations__.items()
        ],
    }


def _field(records: str, file: str, name: str, kind: str, meaning: str) -> dict[str, Any]:
    data_type = "sc:Integer" if kind == "int" else "sc:Float" if "float" in kind else "sc:Text"
    more: dict[str, Any] = {}
    if name == "split":
        more["references"] = {"field": {"@id": "splits/name"}}
    if kind == "tuple[float, ...]":
        more |= {"isArray": True, "arrayShape": "-1"}
    return {
        "@type": "cr:Field",
        "@id": f"{records}/{name}",
        "name": name,
        "description": meaning,
        "dataType": data_type,
        "source": {"fileObject": {"@id": file}, "extract": {"column": name}},
        **more,
    }


_CLIPS = _records("clips", FILE_NAME, Line, "One record a clip, as in the manifest.", fields.CLIP, "id")
_SPEAKERS = _records(
    "speakers", header.SPEAKERS_NAME, Speaker, "One record a speaker.", fields.SPEAKER, "speaker_id"
)
_ROOMS = _records(
    "rooms",
    header.SESSIONS_NAME,
    Room,
    "The noise of a session's room before anybody spoke, as often as it was listened to.",
    fields.ROOM,
    None,
)
