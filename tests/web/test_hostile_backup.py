"""A backup folder that another hand changed: refused before anything of it is in the data folder."""

from __future__ import annotations

import dataclasses
import os

import pytest

from corpus import safekeeping
from corpus.safekeeping import BackupImpossible


@pytest.fixture
def backup(site, settings, speaker, good, tmp_path):
    assert speaker.send(good)["state"] == "accepted"
    folder = tmp_path / "backup"
    safekeeping.back_up(settings, site.engine, site.store, folder)
    return folder


def spoil(folder, how):
    blob = next(path for path in (folder / "blobs").rglob("*") if path.is_file())
    if how == "no keys":
        (folder / "keys").rename(folder / "kept")
    elif how == "no database":
        (folder / "xiangyin.sqlite").unlink()
    elif how == "other database":
        (folder / "xiangyin.sqlite").write_text("garbage")
    elif how == "blob's name":
        blob.rename(blob.with_name("Z" * 62))
    elif how == "pipe":
        os.mkfifo(folder / "keys" / "pipe")
    else:
        place = {
            "link as key": folder / "keys" / "more",
            "link as release": folder / "releases" / "v1",
            "link as blob": blob,
        }[how]
        place.parent.mkdir(exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to("/dev/zero" if how == "link as blob" else "/etc")


@pytest.mark.parametrize(
    "how",
    [
        "no keys",
        "no database",
        "other database",
        "blob's name",
        "pipe",
        "link as key",
        "link as release",
        "link as blob",
    ],
)
def test_a_changed_backup_is_refused_and_leaves_nothing(backup, settings, tmp_path, how):
    spoil(backup, how)
    there = dataclasses.replace(settings, data=tmp_path / "restored")
    with pytest.raises(BackupImpossible):
        safekeeping.bring_back(backup, there)
    assert not there.data.exists()


def test_a_whole_backup_comes_back(backup, settings, tmp_path):
    there = dataclasses.replace(settings, data=tmp_path / "restored")
    assert safekeeping.bring_back(backup, there)["blobs"] == 1
    assert (there.data / "xiangyin.sqlite").is_file()
