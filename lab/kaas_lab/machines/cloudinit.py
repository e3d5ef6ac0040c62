"""What cloud-init makes of user data: files to write and commands to run. Pure; nothing here touches a disk.

Follows cloud-init's own rules where a rendered bootstrap configuration can go wrong: the first line decides what user
data is, `## template: jinja` renders it with the instance's metadata, an undefined variable does not stop anything but
leaves a telling word in its place, and YAML that cannot be read leaves a machine on which nothing happens.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import re
import shlex
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jinja2
import jinja2.sandbox
import yaml

JINJA_HEADER = re.compile(r"##\s*template:\s*jinja\s*$", re.IGNORECASE)
CLOUD_CONFIG_HEADER = "#cloud-config"
GZIP_MAGIC = b"\x1f\x8b"
DEFAULT_PERMISSIONS = 0o644
BASE64_ENCODINGS = frozenset({"b64", "base64"})
GZIP_ENCODINGS = frozenset({"gz", "gzip"})
PLAIN_ENCODINGS = frozenset({"", "text/plain"})


class UserDataError(Exception):
    """User data from which no machine could set itself up; the message is what its console would show."""


@dataclass(frozen=True)
class File:
    """One entry of `write_files`, decoded."""

    path: str
    content: bytes
    permissions: int = DEFAULT_PERMISSIONS
    append: bool = False


@dataclass(frozen=True)
class CloudConfig:
    """What cloud-init would do on the first boot of a machine."""

    files: tuple[File, ...]
    commands: tuple[str, ...]


@dataclass(frozen=True)
class KubeadmCommand:
    """The `kubeadm` call among the commands: `init` or `join`, and the path of its configuration."""

    verb: str
    config: str


class _Missing(jinja2.Undefined):
    """cloud-init keeps going on an undefined variable, with a word that says which."""

    def __str__(self) -> str:
        return f"CI_MISSING_JINJA_VAR/{self._undefined_name}"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Missing(name=f"{self._undefined_name}.{name}")

    __getitem__ = __getattr__


def metadata(server_id: str, name: str, zone: str, project: str) -> dict[str, Any]:
    """Instance data as cloud-init's OpenStack data source offers it to templates; `name` is the server's hostname."""
    short = name.split(".", maxsplit=1)[0]
    standard = {
        "local_hostname": short,
        "instance_id": server_id,
        "availability_zone": zone,
        "cloud_name": "openstack",
        "platform": "openstack",
        "distro": "ubuntu",
        "region": None,
    }
    meta_data = {
        "uuid": server_id,
        "name": name,
        "hostname": name,
        "instance_id": server_id,
        "local_hostname": name,
        "availability_zone": zone,
        "project_id": project,
    }
    return {**standard, "v1": standard, "ds": {"meta_data": meta_data}}


def parse(user_data: str | None, instance: Mapping[str, Any]) -> CloudConfig:
    """Read user data as Nova holds it (base64 of text or of gzip). Raises UserDataError as a machine would fail."""
    text = _decode(user_data)
    first, _, rest = text.partition("\n")
    if JINJA_HEADER.match(first):
        text = _render(rest, instance)
    if not text.lstrip().startswith(CLOUD_CONFIG_HEADER):
        raise UserDataError(f"user data is no {CLOUD_CONFIG_HEADER}: it begins with {text[:40]!r}")
    return _config(_load(text))


def kubeadm_command(config: CloudConfig) -> KubeadmCommand:
    """The first `kubeadm init|join --config PATH` among the commands. Raises UserDataError when there is none."""
    for command in config.commands:
        if found := _kubeadm(command):
            return found
    raise UserDataError("no command runs `kubeadm init --config` or `kubeadm join --config`")


def _decode(user_data: str | None) -> str:
    if not user_data:
        raise UserDataError("the server has no user data")
    try:
        raw = base64.b64decode(user_data, validate=True)
        if raw.startswith(GZIP_MAGIC):
            raw = gzip.decompress(raw)
        return raw.decode()
    except binascii.Error as error:
        raise UserDataError(f"user data is not base64: {error}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UserDataError(f"user data is broken gzip: {error}") from error
    except UnicodeDecodeError as error:
        raise UserDataError(f"user data is not UTF-8: {error}") from error


def _render(text: str, instance: Mapping[str, Any]) -> str:
    environment = jinja2.sandbox.SandboxedEnvironment(undefined=_Missing, trim_blocks=True, keep_trailing_newline=True)
    try:
        return environment.from_string(text).render(instance)
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise UserDataError(f"failed to render the jinja template of the user data: {error}") from error


def _load(text: str) -> dict[str, Any]:
    try:
        loaded = yaml.load(text, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise UserDataError(f"failed loading yaml blob: {error}") from error
    if not isinstance(loaded, dict):
        raise UserDataError(f"cloud-config is a {type(loaded).__name__}, not a mapping")
    return loaded


def _config(loaded: Mapping[str, Any]) -> CloudConfig:
    files = tuple(_file(i, entry) for i, entry in enumerate(_list(loaded, "write_files")))
    commands = tuple(_command(i, entry) for i, entry in enumerate(_list(loaded, "runcmd")))
    return CloudConfig(files, commands)


def _list(loaded: Mapping[str, Any], key: str) -> list[Any]:
    value = loaded.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise UserDataError(f"{key} is a {type(value).__name__}, not a list")
    return value


def _file(index: int, entry: Any) -> File:
    where = f"write_files[{index}]"
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
        raise UserDataError(f"{where} has no path")
    if not entry["path"].startswith("/"):
        raise UserDataError(f"{where}: the path {entry['path']!r} is not absolute")
    content = _content(f"{where} ({entry['path']})", str(entry.get("encoding") or ""), entry.get("content") or "")
    permissions = _permissions(where, entry.get("permissions"))
    return File(entry["path"], content, permissions, bool(entry.get("append")))


def _content(where: str, encoding: str, content: Any) -> bytes:
    raw = content if isinstance(content, bytes) else str(content).encode()
    steps = set(encoding.lower().split("+"))
    if unknown := steps - BASE64_ENCODINGS - GZIP_ENCODINGS - PLAIN_ENCODINGS:
        raise UserDataError(f"{where}: unknown encoding {'+'.join(sorted(unknown))!r}")
    try:
        if steps & BASE64_ENCODINGS:
            raw = base64.b64decode(b"".join(raw.split()), validate=True)
        return gzip.decompress(raw) if steps & GZIP_ENCODINGS else raw
    except (binascii.Error, OSError, EOFError, zlib.error) as error:
        raise UserDataError(f"{where}: the content is not {encoding}: {error}") from error


def _permissions(where: str, value: Any) -> int:
    if value is None:
        return DEFAULT_PERMISSIONS
    try:
        return int(str(value), 8)
    except ValueError as error:
        raise UserDataError(f"{where}: permissions {value!r} are not octal") from error


def _command(index: int, entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    if isinstance(entry, list) and all(isinstance(word, str | int) for word in entry):
        return shlex.join(str(word) for word in entry)
    raise UserDataError(f"runcmd[{index}] is neither a string nor a list of words")


def _kubeadm(command: str) -> KubeadmCommand | None:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UserDataError(f"sh cannot read the command {command!r}: {error}") from error
    if "kubeadm" not in words:
        return None
    arguments = words[words.index("kubeadm") + 1 :]
    if not arguments or arguments[0] not in ("init", "join"):
        return None
    for position, word in enumerate(arguments):
        if word == "--config" and position + 1 < len(arguments):
            return KubeadmCommand(arguments[0], arguments[position + 1])
        if word.startswith("--config="):
            return KubeadmCommand(arguments[0], word.partition("=")[2])
    return None
