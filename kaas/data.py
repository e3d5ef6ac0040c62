"""Where the templates, CRDs and manifests are: inside an installed package, or in the checkout it is developed in."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_IN_CHECKOUT = {
    "clusterclass": _PACKAGE.parent / "clusterclass",
    "providers": _PACKAGE.parent / "providers",
    "crds": _PACKAGE.parent / "deploy" / "crds",
    "credentials": _PACKAGE.parent / "deploy" / "credentials",
    "volumes": _PACKAGE.parent / "deploy" / "volumes",
}


def folder(name: str) -> Path:
    """Directory of one of the names above. Raises KeyError for another one."""
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _IN_CHECKOUT[name]
