"""From a Pod to the JSON Patch that gives it its credentials. Pure: the object itself is neither changed nor copied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kaas.credentials.pods.aws import aws_bundle, session_of
from kaas.credentials.pods.containers import Draft, Op, container_at, give, name_of
from kaas.credentials.pods.facts import SecretFacts
from kaas.credentials.pods.gcp import gcp_bundle
from kaas.credentials.pods.groups import Bundle, Entry, projected_volume
from kaas.credentials.pods.wanted import MIRROR_ANNOTATION, Selection, Wanted, Where, annotations_of, wanted
from kaas.credentials.terms import (
    AWS_ANNOTATION,
    AWS_ROLE_ANNOTATION,
    AWS_TYPE,
    CONTAINERS_ANNOTATION,
    GCP_ANNOTATION,
    GCP_TYPE,
    INJECTED_ANNOTATION,
    SKIP_CONTAINERS_ANNOTATION,
    TOKEN_VOLUME,
)

# Never ephemeral ones: they are a person's, who debugs.
LISTS: Final = ("containers", "initContainers")
_PROVIDERS: Final = frozenset({AWS_ANNOTATION, AWS_ROLE_ANNOTATION, GCP_ANNOTATION})


@dataclass(frozen=True, slots=True)
class Outcome:
    """patch: RFC 6902 operations, none when nothing changes. warnings: for a person. denied: why the Pod is refused.

    given: whose annotation gave some container its credentials, by `aws` and `gcp`.
    Operations share their values with those for other Pods: not to be changed.
    """

    patch: list[Op] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    denied: str | None = None
    given: Mapping[str, Where] = field(default_factory=dict)


class ReservedName(ValueError):
    """A Pod has a volume of its own with a name of ours."""


def mutate(
    pod: Mapping[str, Any],
    service_account: Mapping[str, Any] | None,
    secrets: Mapping[str, SecretFacts | None],
) -> Outcome:
    """What to change in a Pod, as JSON gives it; for any JSON object.

    service_account: None when there is none or it has no say. secrets: facts by name, of the names in `wanted`; None
    for one that does not exist; one that is left out is not known and taken for one with keys, without a word.
    """
    asked = wanted(pod, service_account)
    if asked.denied:
        return Outcome(denied=asked.denied)
    if asked.aws is None and asked.gcp is None:
        return Outcome(warnings=_of_a_mirror(pod))
    spec = pod.get("spec")
    if not isinstance(spec, dict) or not _well_formed(pod, spec):
        return Outcome()
    if unknown := _unknown(spec, asked.selection):
        return Outcome(denied=unknown)
    return _given(pod, spec, asked, secrets)


def _well_formed(pod: Mapping[str, Any], spec: dict[str, Any]) -> bool:
    """Whether what we add to is what it should be. The API server sends nothing else, and would take nothing else."""
    meta = pod.get("metadata")
    annotations = meta.get("annotations") if isinstance(meta, dict) else None
    return (
        isinstance(spec.get("containers"), list)
        and isinstance(meta, dict | None)
        and isinstance(annotations, dict | None)
        and isinstance(spec.get("volumes"), list | None)
    )


def _given(
    pod: Mapping[str, Any], spec: dict[str, Any], asked: Wanted, secrets: Mapping[str, SecretFacts | None]
) -> Outcome:
    draft = Draft(warnings=[*_of_secrets(asked, secrets), *_unskipped(spec, asked.selection)])
    bundles = _bundles(pod, asked, secrets)
    if not spec.get("serviceAccountName") and any(b.tokens for b in bundles):
        # Only where the API server's own ServiceAccount admission is off; it refuses tokens in such a Pod.
        draft.warnings.append("the Pod has no serviceAccountName, so there are no tokens to exchange for credentials")
        bundles = [b for b in bundles if not b.tokens]
    for bundle in bundles:
        draft.warnings += (f'Secret "{bundle.source}": {doubt}' for doubt in bundle.warnings)
    selected = list(_selected(spec, asked.selection))
    for path, raw in selected:
        if container := container_at(path, raw):
            give(draft, container, bundles)
    if not selected:
        draft.warnings.append("no container of the Pod is selected: none is given credentials")
    active = [b for b in bundles if b.cloud in draft.clouds]
    try:
        draft.patch += _volumes(pod, spec, draft.volumes, active)
    except ReservedName as error:
        return Outcome(denied=str(error))
    draft.patch += _annotations(pod, active)
    return Outcome(draft.patch, draft.warnings, given={b.cloud: b.where for b in active})


def _bundles(pod: Mapping[str, Any], asked: Wanted, secrets: Mapping[str, SecretFacts | None]) -> list[Bundle]:
    bundles = []
    if asked.aws:
        facts = secrets.get(asked.aws.secret)
        bundles.append(aws_bundle(asked.aws, facts, asked.rotating, asked.expiration, session_of(_name(pod))))
    if asked.gcp:
        bundles.append(gcp_bundle(asked.gcp, secrets.get(asked.gcp.secret), asked.expiration))
    return bundles


def _name(pod: Mapping[str, Any]) -> str:
    meta = pod.get("metadata")
    name = meta.get("name") if isinstance(meta, dict) else None
    return name if isinstance(name, str) else ""


def _containers(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for key in LISTS:
        found = spec.get(key)
        if isinstance(found, list):
            yield from ((f"/spec/{key}/{n}", raw) for n, raw in enumerate(found) if isinstance(raw, dict))


def _selected(spec: dict[str, Any], selection: Selection) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((path, raw) for path, raw in _containers(spec) if selection.has(name_of(raw)))


def _unknown(spec: dict[str, Any], selection: Selection) -> str:
    """A ServiceAccount's list is for many Pods, so only the Pod's own must fit."""
    if not selection.strict or selection.only is None:
        return ""
    unknown = sorted(selection.only.difference(name_of(raw) for _, raw in _containers(spec)))
    if not unknown:
        return ""
    field_path = f"metadata.annotations[{CONTAINERS_ANNOTATION}]"
    return f'{field_path} of the Pod names "{unknown[0]}", and no container is called so; name its containers'


def _unskipped(spec: dict[str, Any], selection: Selection) -> list[str]:
    if not selection.skip_strict:
        return []
    unknown = sorted(selection.skip.difference(name_of(raw) for _, raw in _containers(spec)))
    return [f'{SKIP_CONTAINERS_ANNOTATION} names "{name}", and no container is called so' for name in unknown]


def _of_a_mirror(pod: Mapping[str, Any]) -> list[str]:
    annotations = annotations_of(pod)
    if MIRROR_ANNOTATION not in annotations or _PROVIDERS.isdisjoint(annotations):
        return []
    return ["a static Pod cannot use Secrets: it is given no credentials"]


def _of_secrets(asked: Wanted, secrets: Mapping[str, SecretFacts | None]) -> Iterator[str]:
    for choice, kind in ((asked.aws, AWS_TYPE), (asked.gcp, GCP_TYPE)):
        if choice is None or choice.secret not in secrets:
            continue
        facts = secrets[choice.secret]
        if facts is None:
            yield f'Secret "{choice.secret}" is not there (yet): the Pod waits for it, and takes it for one with keys'
        elif facts.type != kind:
            yield f'Secret "{choice.secret}" is not of type {kind}: nobody has checked what it holds'


def _volumes(pod: Mapping[str, Any], spec: dict[str, Any], names: set[str], active: list[Bundle]) -> list[Op]:
    """Operations for the volumes that are mounted. Raises ReservedName."""
    desired = _desired_volumes(names, active)
    existing = spec.get("volumes")
    if not existing:
        return [{"op": "add", "path": "/spec/volumes", "value": list(desired.values())}] if desired else []
    marked = INJECTED_ANNOTATION in annotations_of(pod)
    patch: list[Op] = []
    for number, volume in enumerate(existing):
        wish = desired.pop(_volume_name(volume), None)
        if wish is None or volume == wish:
            continue
        if not marked:
            raise ReservedName(f'spec.volumes[{number}].name: "{wish["name"]}" is reserved for credentials; rename it')
        patch.append({"op": "replace", "path": f"/spec/volumes/{number}", "value": wish})
    patch += ({"op": "add", "path": "/spec/volumes/-", "value": volume} for volume in desired.values())
    return patch


def _volume_name(volume: object) -> str:
    name = volume.get("name") if isinstance(volume, dict) else None
    return name if isinstance(name, str) else ""


def _desired_volumes(names: set[str], active: list[Bundle]) -> dict[str, Entry]:
    found = {name: volume for bundle in active for name, volume in bundle.volumes.items() if name in names}
    if TOKEN_VOLUME in names:
        found[TOKEN_VOLUME] = projected_volume(TOKEN_VOLUME, *(t for bundle in active for t in bundle.tokens))
    return found


def _annotations(pod: Mapping[str, Any], active: list[Bundle]) -> list[Op]:
    if not active:
        return []
    desired = {key: text for bundle in active for key, text in bundle.annotations.items()}
    desired[INJECTED_ANNOTATION] = ",".join(f"{bundle.cloud}={bundle.source}" for bundle in active)
    meta = pod.get("metadata")
    if meta is None:
        return [{"op": "add", "path": "/metadata", "value": {"annotations": desired}}]
    existing = meta.get("annotations")
    if existing is None:
        return [{"op": "add", "path": "/metadata/annotations", "value": desired}]
    return [
        {"op": "add", "path": f"/metadata/annotations/{_escaped(key)}", "value": text}
        for key, text in desired.items()
        if existing.get(key) != text
    ]


def _escaped(key: str) -> str:
    """As a token of a JSON Pointer, RFC 6901."""
    return key.replace("~", "~0").replace("/", "~1")
