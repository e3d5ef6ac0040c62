"""Environment of a container, as the kubelet makes it: values, Secrets, ConfigMaps, fields of the Pod. Pure.

Errors have the kubelet's own words (pkg/kubelet/kubelet_pods.go, makeEnvironmentVariables), since users meet them.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]
Sources = Mapping[tuple[str, str], Object | None]
"""Secrets and ConfigMaps by kind and name; None for one that is not there."""

_REFERENCE = re.compile(r"\$(\$|\(([-._a-zA-Z0-9]+)\))")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_SUFFIXES = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


class ConfigError(Exception):
    """A container cannot be made from what there is: CreateContainerConfigError."""


def wanted(container: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Kind and name of every object that the environment of a container asks for."""
    found = set()
    for entry in container.get("envFrom") or ():
        found |= {(kind, entry[field]["name"]) for field, kind in _FROM.items() if field in entry}
    for variable in container.get("env") or ():
        origin = variable.get("valueFrom") or {}
        found |= {(kind, origin[field]["name"]) for field, kind in _KEYS.items() if field in origin}
    return found


_FROM = {"secretRef": "Secret", "configMapRef": "ConfigMap"}
_KEYS = {"secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap"}


def build(pod: Object, container: Mapping[str, Any], sources: Sources) -> dict[str, str]:
    """Every variable that the container's spec asks for. Raises ConfigError."""
    result: dict[str, str] = {}
    for entry in container.get("envFrom") or ():
        result |= _all_of(entry, sources)
    for variable in container.get("env") or ():
        origin = variable.get("valueFrom")
        value = _origin(pod, container, origin, sources) if origin else expand(variable.get("value", ""), result)
        if value is not None:
            result[variable["name"]] = value
    return result


def expand(text: str, known: Mapping[str, str]) -> str:
    """`$(NAME)` replaced where NAME is known; `$$` stands for `$`. Source: Kubernetes, third_party/.../expansion."""

    def one(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return known.get(match[2], match[0])

    return _REFERENCE.sub(one, text)


def content(source: Object) -> dict[str, bytes]:
    """What a Secret or a ConfigMap holds, by key."""
    if source["kind"] == "Secret":
        return {key: base64.b64decode(value) for key, value in (source.get("data") or {}).items()}
    binary = {key: base64.b64decode(value) for key, value in (source.get("binaryData") or {}).items()}
    return binary | {key: str(value).encode() for key, value in (source.get("data") or {}).items()}


def _all_of(entry: Mapping[str, Any], sources: Sources) -> dict[str, str]:
    field = next(f for f in _FROM if f in entry)
    source = _source(_FROM[field], entry[field], sources)
    prefix = entry.get("prefix", "")
    return (
        {f"{prefix}{key}": value.decode(errors="replace") for key, value in content(source).items()} if source else {}
    )


def _source(kind: str, reference: Mapping[str, Any], sources: Sources) -> Object | None:
    found = sources.get((kind, reference["name"]))
    if found is None and not reference.get("optional"):
        raise ConfigError(f'{kind.lower()} "{reference["name"]}" not found')
    return found


def _origin(pod: Object, container: Mapping[str, Any], origin: Mapping[str, Any], sources: Sources) -> str | None:
    for field, kind in _KEYS.items():
        if field in origin:
            return _key(pod, kind, origin[field], sources)
    if "fieldRef" in origin:
        return field_of(pod, origin["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in origin:
        return resource_of(container, origin["resourceFieldRef"])
    raise ConfigError(f"the lab knows no such source of a variable: {', '.join(origin)}")


def _key(pod: Object, kind: str, reference: Mapping[str, Any], sources: Sources) -> str | None:
    source = _source(kind, reference, sources)
    if source is None:
        return None
    value = content(source).get(reference["key"])
    if value is not None:
        return value.decode(errors="replace")
    if reference.get("optional"):
        return None
    place = f"{pod['metadata']['namespace']}/{reference['name']}"
    raise ConfigError(f"couldn't find key {reference['key']} in {kind} {place}")


def field_of(pod: Object, path: str) -> str:
    """A field of the Pod as the downward API gives it. Raises ConfigError."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status", {})
    if match := _SUBSCRIPT.fullmatch(path):
        return str((metadata.get(match[1]) or {}).get(match[2], ""))
    known = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": status.get("hostIP", ""),
        "status.hostIPs": status.get("hostIP", ""),
        "status.podIP": status.get("podIP", ""),
        "status.podIPs": status.get("podIP", ""),
    }
    if path in {"metadata.labels", "metadata.annotations"}:
        pairs = metadata.get(path.rpartition(".")[2]) or {}
        return "\n".join(f'{key}="{value}"' for key, value in sorted(pairs.items()))
    if path not in known:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return str(known[path])


def resource_of(container: Mapping[str, Any], reference: Mapping[str, Any]) -> str:
    """A request or limit of the container in units of `divisor`, rounded up. "0" when there is none."""
    kind, _, resource = str(reference["resource"]).partition(".")
    given = (container.get("resources", {}).get(kind) or {}).get(resource, "0")
    divisor = quantity(str(reference.get("divisor") or "1")) or 1.0
    return str(math.ceil(quantity(str(given)) / divisor))


def quantity(text: str) -> float:
    """A quantity of Kubernetes as a number: `512Mi`, `500m`, `2`."""
    for suffix, factor in _SUFFIXES.items():
        if text.endswith(suffix):
            return float(text.removesuffix(suffix)) * factor
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)
