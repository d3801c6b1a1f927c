"""What to do next with an export: the first line to type in each toolkit. The folder is filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How a toolkit is called by its people, and the line that opens an export in it.

    Attributes
    ----------
    use : str
        ``{dir}`` stands for the export's folder; empty where people open the files by hand.
    """

    label: str
    use: str = ""

    def line(self, folder: str) -> str:
        """`use` for an export in `folder`."""
        return self.use.replace("{dir}", folder)


RECIPES: Mapping[str, Recipe] = {
    "lhotse": Recipe(
        "Lhotse, k2, Icefall",
        'from lhotse import CutSet; cuts = CutSet.from_file("{dir}/cuts_train.jsonl.gz")',
    ),
    "hf": Recipe(
        "Hugging Face datasets",
        'from datasets import load_dataset; data = load_dataset("audiofolder", data_dir="{dir}")',
    ),
    "kaldi": Recipe("Kaldi", "utils/validate_data_dir.sh --no-feats --non-print {dir}/train"),
    "espnet": Recipe("ESPnet", "utils/fix_data_dir.sh {dir}/train"),
    "nemo": Recipe("NeMo", "model.train_ds.manifest_filepath={dir}/train_manifest.json"),
    "wenet": Recipe("WeNet", "--data_type raw --train_data {dir}/train/data.list"),
    "wenet-shards": Recipe("WeNet, shards", "--data_type shard --train_data {dir}/train/shards.list"),
    "webdataset": Recipe(
        "WebDataset", 'import webdataset; data = webdataset.WebDataset("{dir}/train-000000.tar")'
    ),
    "shar": Recipe("Lhotse Shar", 'from lhotse import CutSet; cuts = CutSet.from_shar(in_dir="{dir}/train")'),
    "hf-parquet": Recipe(
        "Hugging Face datasets, Parquet",
        'from datasets import load_dataset; data = load_dataset("{dir}")',
    ),
    "nemo-tarred": Recipe(
        "NeMo, tarred", "model.train_ds.manifest_filepath={dir}/train/tarred_audio_manifest.json"
    ),
    "speechbrain": Recipe("SpeechBrain"),
    "common-voice": Recipe("Common Voice tables"),
    "textgrid": Recipe("Praat"),
    "eaf": Recipe("ELAN"),
    "stm": Recipe("sclite (STM)"),
    "rttm": Recipe("Diarisation (RTTM)"),
    "ctm": Recipe("Kaldi segments for CTM"),
}
"""In the order in which they are offered; a format that is not here is offered after these, by its name."""


def label(name: str) -> str:
    """What a format is called by its people."""
    return RECIPES[name].label if name in RECIPES else name


def in_order(formats: Mapping[str, object]) -> list[str]:
    """The names of `formats`, those with a recipe first."""
    return [name for name in RECIPES if name in formats] + [name for name in formats if name not in RECIPES]
