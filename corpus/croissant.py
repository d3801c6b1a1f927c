"""``croissant.json``: the release for machines, in Croissant 1.1 (JSON-LD), from its header and files alone.

The files with their digests, the sounds as a set, the manifest's fields as records, and the three splits as
an enumeration that the records refer to [1]_.

References
----------
.. [1] MLCommons, Croissant format specification 1.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from corpus.header import FileEntry, Header, citation
from corpus.manifest import FILE_NAME, SPLITS, Line

_PARQUET = "manifest.parquet"
_LISTED = (FILE_NAME, _PARQUET, "speakers.jsonl", "tombstones.jsonl")
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
        "recordSet": [_SPLIT_RECORDS, _clips()],
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


def _clips() -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "clips",
        "name": "clips",
        "description": "One record a clip, as in the manifest.",
        "key": {"@id": "clips/id"},
        "field": [_field(name, str(kind)) for name, kind in Line.__annotations__.items()],
    }


def _field(name: str, kind: str) -> dict[str, Any]:
    data_type = "sc:Integer" if kind == "int" else "sc:Float" if kind.startswith("float") else "sc:Text"
    more = {"references": {"field": {"@id": "splits/name"}}} if name == "split" else {}
    return {
        "@type": "cr:Field",
        "@id": f"clips/{name}",
        "name": name,
        "dataType": data_type,
        "source": {"fileObject": {"@id": FILE_NAME}, "extract": {"column": name}},
        **more,
    }
