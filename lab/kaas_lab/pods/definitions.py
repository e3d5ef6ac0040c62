"""The CRDs of VolumeSnapshots, taken from their Go module once and kept in the cache as JSON."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path

import yaml

from kaas_lab.build import module_directory
from kaas_lab.layout import cache
from kaas_lab.machines.api import Object
from kaas_lab.programs import MODULES, NotBuilt

MODULE = "github.com/kubernetes-csi/external-snapshotter/client/v8"
_PINS = MODULES / "snapshots"
_FILES = "config/crd/snapshot.storage.k8s.io_*.yaml"


def _path() -> Path:
    digest = hashlib.sha256((_PINS / "go.mod").read_bytes() + (_PINS / "go.sum").read_bytes()).hexdigest()[:12]
    return cache() / "manifests" / f"snapshots-{digest}.json"


def ensure() -> None:
    """Put them into the cache unless they are there. Raises BuildFailed when their module cannot be had."""
    path = _path()
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="snapshots-") as name:
        source = Path(name)
        for file in ("go.mod", "go.sum"):
            shutil.copyfile(_PINS / file, source / file)
        files = sorted(module_directory(source, MODULE).glob(_FILES))
        documents = [d for f in files for d in yaml.load_all(f.read_text(), yaml.CSafeLoader) if d]
        part = source / "part"
        part.write_text(json.dumps(documents))
        part.replace(path)


def load() -> list[Object]:
    """The CRDs. Raises NotBuilt when `ensure` was not called."""
    try:
        documents: list[Object] = json.loads(_path().read_text())
    except FileNotFoundError as error:
        raise NotBuilt("the CRDs of VolumeSnapshots are not there: run `kaas lab build --with pods`") from error
    return documents
