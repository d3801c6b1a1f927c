"""The formats that `export` and `pull --format` write, and what each is for; light, as `--help` shows it."""

from __future__ import annotations

from collections.abc import Mapping

FORMATS: Mapping[str, str] = {
    "kaldi": "Kaldi data directories; sound through flac, or plain paths with --audio path",
    "espnet": "ESPnet2, k2 and others that read Kaldi directories and open FLAC themselves",
    "lhotse": "lhotse recordings, supervisions and cuts; Icefall",
    "shar": "lhotse Shar: cuts and tars for sequential reading",
    "nemo": "NeMo manifests that name the release's files",
    "nemo-tarred": "NeMo tarred datasets with sharded manifests",
    "wenet": "WeNet raw lists",
    "wenet-shards": "WeNet shards",
    "speechbrain": "SpeechBrain manifests, CSV and JSON",
    "webdataset": "WebDataset tars: sound, text and the manifest line of each clip",
    "hf": "Hugging Face AudioFolder: sound files with metadata.jsonl",
    "hf-parquet": "Hugging Face Parquet with the sound inside, ready for the hub",
    "common-voice": "Common Voice tables and clips",
    "textgrid": "Praat: a TextGrid for each recording, a tier for each speaker",
    "eaf": "ELAN: an annotation document for each recording",
    "stm": "sclite references: one file a split",
    "rttm": "who spoke when, for diarisation, with UEM",
    "ctm": "Kaldi segments, by which CTM times become times in the recording",
}
WHOLE_RECORDINGS = frozenset({"textgrid", "eaf", "stm", "rttm", "ctm"})  # these take --recordings


def listing() -> str:
    """The names with what they are for, as `--help` shows them."""
    width = max(map(len, FORMATS))
    return "\n".join(f"  {name:<{width}}  {purpose}" for name, purpose in FORMATS.items())
