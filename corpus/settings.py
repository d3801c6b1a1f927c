"""Every setting, in one frozen dataclass: the environment over ``xiangyin.toml`` over the defaults.

Read once where a program starts and passed down; nothing below reads the environment.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from protocol.errors import CodedError

FILE_NAME = "xiangyin.toml"
AWS_VARIABLES: Mapping[str, str] = {
    "AWS_ENDPOINT_URL_S3": "address of the object store, http://… or https://… ; empty means Amazon's",
    "AWS_ENDPOINT_URL": "the same, where AWS_ENDPOINT_URL_S3 is not set",
    "AWS_REGION": "region of the bucket; us-east-1 if no region is set",
    "AWS_DEFAULT_REGION": "the same, where AWS_REGION is not set",
    "AWS_ACCESS_KEY_ID": "name of the key; empty means the role of the machine, on Amazon's",
    "AWS_SECRET_ACCESS_KEY": "the key",
    "AWS_SESSION_TOKEN": "token of a temporary key",
    "AWS_CA_BUNDLE": "file of certificates that are trusted beside the system's, for a store of your own",
}
"""What is read of the usual variables of S3 clients, where blobs lie in a bucket."""


class SettingInvalid(CodedError):
    """A setting is unknown or its value makes no sense."""

    code: ClassVar[str] = "SETTING_INVALID"


def _setting(default: object, says: str) -> Any:
    return field(default=default, metadata={"says": says})


@dataclass(frozen=True)
class Settings:
    """What an operator may choose. Each field is ``XIANGYIN_`` and its name in capitals.

    Attributes
    ----------
    data : Path
        The folder of everything that is kept; the other paths follow from it.
    """

    data: Path = field(metadata={"says": "folder of the database, the blobs and the keys"})
    database_url: str = _setting("", "SQLAlchemy URL; empty means SQLite in the data folder")
    store_url: str = _setting(
        "", "where blobs lie, file:///… or s3://bucket/prefix; empty means a folder in the data folder"
    )
    compute: str = _setting("local", "where heavy work runs: local, inline or dask://host:port")
    secret_key_file: str = _setting("", "file of the server's secret; empty means keys/secret")
    public_url: str = _setting("", "address that people use, such as https://voices.example.org")
    trusted_proxy: str = _setting(
        "", "address of the reverse proxy whose X-Forwarded headers are believed, or * for whoever asks"
    )
    sendfile: str = _setting(
        "",
        "prefix under which the proxy itself sends files (X-Accel-Redirect), such as /_files",
    )
    max_clip_s: int = _setting(120, "longest clip, in seconds")
    max_upload_bytes: int = _setting(64 * 2**20, "largest file of one clip")
    max_open_uploads: int = _setting(200, "unfinished uploads that one person may have")
    max_open_bytes: int = _setting(2 * 2**30, "declared bytes of one person's unfinished uploads")
    max_open_bytes_of_all: int = _setting(64 * 2**30, "declared bytes of everybody's unfinished uploads")
    max_buffered_bytes: int = _setting(
        512 * 2**20,
        "bytes of requests that one server process holds while they come in; a quarter is one person's most",
    )
    max_creations_per_hour: int = _setting(20_000, "uploads that one person may begin in an hour")
    upload_expires_s: int = _setting(7 * 86_400, "how long an unfinished upload is kept")
    disk_reserve_bytes: int = _setting(64 * 2**20, "room that uploads must leave for database and ledger")
    invitation_expires_s: int = _setting(14 * 86_400, "how long an invitation can be used")
    token_expires_s: int = _setting(365 * 86_400, "how long a program's token is good")
    session_expires_s: int = _setting(30 * 86_400, "how long a browser stays signed in")
    access_log: int = _setting(1, "0: no line on stderr for each request")
    log_format: str = _setting("json", "lines on stderr: json or text")
    threads: int = _setting(16, "requests that one server process answers at a time")
    aws: Mapping[str, str] = field(default_factory=dict, repr=False)  # `AWS_VARIABLES` that are set

    @property
    def engine_url(self) -> str:
        """The database's URL, with the default filled in."""
        return self.database_url or f"sqlite:///{self.data / 'xiangyin.sqlite'}"

    @property
    def blobs(self) -> Path:
        """The folder of blobs, where the store is one."""
        return Path(urlsplit(self.store_url).path) if self.store_url else self.data / "blobs"

    @property
    def partials(self) -> Path:
        """The folder of uploads that are not finished."""
        return self.data / "uploads"

    @property
    def holds(self) -> Path:
        """Locks of those who name or erase blobs."""
        return self.data / "holds"

    @property
    def keys(self) -> Path:
        """The folder of private keys."""
        return self.data / "keys"

    @property
    def meters(self) -> Path:
        """The folder of the processes' counts."""
        return self.data / "counts"

    @property
    def releases(self) -> Path:
        """The folder of published releases."""
        return self.data / "releases"

    @property
    def secret_key_path(self) -> Path:
        """The file of the server's secret, with the default filled in."""
        return Path(self.secret_key_file) if self.secret_key_file else self.keys / "secret"


def load(environ: Mapping[str, str], data: Path | None = None) -> Settings:
    """Read the settings.

    Parameters
    ----------
    environ : mapping
        The process environment.
    data : Path, optional
        The data folder given on the command line; it wins over ``XIANGYIN_DATA``.

    Raises
    ------
    SettingInvalid
        Naming the setting and what is wrong with it.
    """
    folder = data if data is not None else Path(environ.get("XIANGYIN_DATA") or "xiangyin-data")
    folder = folder.expanduser().absolute()
    names = {f.name: f for f in _chosen() if f.name != "data"}
    values: dict[str, Any] = {}
    for name, value in _from_file(folder / FILE_NAME).items():
        if name not in names:
            raise SettingInvalid(setting=f"{name} in {FILE_NAME}", problem="there is no such setting")
        values[name] = _typed(name, value)
    for name in names:
        text = environ.get(f"XIANGYIN_{name.upper()}")
        if text:
            values[name] = _typed(name, text)
    _check_urls(values)
    _check_proxy(values.get("trusted_proxy", ""))
    aws = {}
    if values.get("store_url", "").startswith("s3://"):
        aws = {name: environ[name] for name in AWS_VARIABLES if environ.get(name)}
        _check_aws(aws)
    return Settings(data=folder, aws=aws, **values)


def _check_proxy(address: str) -> None:
    """A name, or a typing error, would be nobody's address: the proxy would be believed nothing."""
    try:
        if address not in ("", "*"):
            ipaddress.ip_address(address)
    except ValueError as error:
        problem = "need an IP address as 127.0.0.1, or * for whoever asks"
        raise SettingInvalid(setting="trusted_proxy", problem=problem) from error


def s3_place(url: str) -> tuple[str, str]:
    """Bucket and prefix of ``s3://bucket/prefix``; the prefix may be empty.

    Raises
    ------
    SettingInvalid
        If it is no such address.
    """
    found = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9_.-]+)*)/?", url)
    if found is None or any(part in (".", "..") for part in found[2].split("/")):
        raise SettingInvalid(
            setting="store_url",
            problem="need s3://bucket or s3://bucket/prefix, the prefix of letters, digits and . _ - /",
        )
    return found[1], found[2].removeprefix("/")


def table() -> list[tuple[str, str, str]]:
    """Rows of the settings' page: environment name, default, what it says."""
    return [
        (
            f"XIANGYIN_{f.name.upper()}",
            "" if f.default in (MISSING, "") else f"`{f.default}`",
            str(f.metadata["says"]),
        )
        for f in _chosen()
    ]


def _chosen() -> list[Field[Any]]:
    """The settings proper."""
    return [f for f in fields(Settings) if "says" in f.metadata]


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingInvalid(setting=str(path), problem=str(error)) from error


def _typed(name: str, value: object) -> object:
    default = next(f.default for f in fields(Settings) if f.name == name)
    if not isinstance(default, int):
        if not isinstance(value, str):
            raise SettingInvalid(setting=name, problem="need a text in quotes")
        return value
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise SettingInvalid(setting=name, problem=f"need a whole number, such as {default}")
    return int(text)


def _check_urls(values: Mapping[str, Any]) -> None:
    public = values.get("public_url", "")
    if public and (urlsplit(public).scheme not in ("http", "https") or not urlsplit(public).netloc):
        raise SettingInvalid(
            setting="public_url", problem="need an address such as https://voices.example.org"
        )
    database = values.get("database_url", "")
    if database and not database.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise SettingInvalid(setting="database_url", problem="need sqlite:///… or postgresql+psycopg://…")
    store = values.get("store_url", "")
    if store.startswith("s3://"):
        s3_place(store)
    elif store and not store.startswith("file:///"):
        raise SettingInvalid(setting="store_url", problem="need file:///… or s3://bucket/prefix")
    if values.get("log_format", "json") not in ("json", "text"):
        raise SettingInvalid(setting="log_format", problem="need json or text")
    compute = values.get("compute", "local")
    if compute not in ("local", "inline") and not compute.startswith("dask://"):
        raise SettingInvalid(setting="compute", problem="need local, inline or dask://host:port")


def _check_aws(aws: Mapping[str, str]) -> None:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        parts = urlsplit(aws.get(name, "https://store.example"))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingInvalid(setting=name, problem="need an address such as https://store.example")
    bundle = aws.get("AWS_CA_BUNDLE")
    if bundle is not None and not Path(bundle).is_file():
        raise SettingInvalid(setting="AWS_CA_BUNDLE", problem="there is no such file")
    key, secret = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
    own = "AWS_ENDPOINT_URL_S3" in aws or "AWS_ENDPOINT_URL" in aws
    for name, other in ((key, secret), (secret, key)):
        if name not in aws and (other in aws or own):
            raise SettingInvalid(setting=name, problem="it is not set, and the store asks for it")
