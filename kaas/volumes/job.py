"""The Job of a load, and the network policy of loaders, as objects. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from typing import Any, Final

from kaas.api.constants import GROUP
from kaas.kube.objects import Object
from kaas.loader.report import Exit
from kaas.volumes import terms
from kaas.volumes.access import Access
from kaas.volumes.annotations import Spec
from kaas.volumes.claim import Claim
from kaas.volumes.identity import Load
from kaas.volumes.placement import Placement
from kaas.volumes.pods import LABEL, LOADING
from kaas.volumes.settings import LoadSettings

CONTAINER: Final = "loader"
DATA: Final = "/data"
TERMINATION_LOG: Final = "/dev/termination-log"
USER: Final = 65532
"""User and group of a loader. Source: the nonroot user of distroless images."""
DIGEST: Final = f"{GROUP}/load"
"""Annotation of a Job and its Pods: the load that they do, token and digest."""
PLACE: Final = f"{GROUP}/load-place"
"""Annotation of a Job: where its Pods may run, as a mark that is another one when Pods say otherwise."""
SPENT: Final = f"{GROUP}/load-spent"
"""Annotation of a Job that was made anew: seconds that those before it had."""
POLICY: Final = "kaas-volumes-loaders"
_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGED: Final = f"{_MANAGED_BY}={terms.MANAGER}"
"""Label selector of what the controller has made."""
GRACE: Final = 30
"""Seconds in which a loader that is told to stop writes its journal."""


@dataclass(frozen=True, slots=True)
class Work:
    """All that a Job is made of."""

    claim: Claim
    spec: Spec
    load: Load
    access: Access
    placement: Placement
    spent: int = 0
    """Seconds of its timeout that Jobs before had."""


def job_of(work: Work, settings: LoadSettings) -> Object:
    """The Job of a load."""
    claim, spec = work.claim, work.spec
    namespace, name = claim.key
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": work.load.job_name(name),
            "namespace": namespace,
            "labels": _labels(claim),
            "annotations": {DIGEST: work.load.mark, PLACE: work.placement.mark, **_spent(work)},
            "ownerReferences": [_owner(claim)],
        },
        "spec": {
            **_tries(spec, settings),
            "activeDeadlineSeconds": max(1, (spec.timeout or settings.timeout) - work.spent),
            "ttlSecondsAfterFinished": settings.keep,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": _failure_rules(spec)},
            "template": {
                "metadata": {"labels": _labels(claim), "annotations": {DIGEST: work.load.mark}},
                "spec": _pod(work, settings),
            },
        },
    }


def _labels(claim: Claim) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "kaas-loader",
        _MANAGED_BY: terms.MANAGER,
        terms.LOADER_LABEL: claim.uid,
        LABEL: LOADING,
    }


def _spent(work: Work) -> dict[str, str]:
    return {SPENT: str(work.spent)} if work.spent else {}


def _owner(claim: Claim) -> Object:
    """The claim, so that a Job whose claim has vanished unseen does not stay."""
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": claim.key[1], "uid": claim.uid}


def _tries(spec: Spec, settings: LoadSettings) -> dict[str, Any]:
    if spec.shards == 1:
        return {"backoffLimit": settings.tries_again, "completions": 1, "parallelism": 1}
    return {
        "completionMode": "Indexed",
        "completions": spec.shards,
        "parallelism": spec.shards,
        "backoffLimitPerIndex": settings.tries_again,
        "maxFailedIndexes": 0,
    }


def _failure_rules(spec: Spec) -> list[dict[str, Any]]:
    """The first rule that fits counts: what helps nobody ends the Job, and a Pod that was driven away costs no try."""
    ends = {"containerName": CONTAINER, "operator": "In", "values": [int(Exit.PERMANENT)]}
    return [
        {"action": "FailJob", "onExitCodes": ends},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "Count", "onExitCodes": {**ends, "values": [int(Exit.RETRY)]}},
    ]


def _pod(work: Work, settings: LoadSettings) -> dict[str, Any]:
    spec, placement = work.spec, work.placement
    volumes = [
        {"name": "data", "persistentVolumeClaim": {"claimName": work.claim.key[1]}},
        {"name": "tmp", "emptyDir": {"sizeLimit": settings.resources.scratch}},
        *work.access.volumes,
    ]
    optional = {
        "nodeSelector": placement.node_selector,
        "affinity": placement.affinity,
        "tolerations": list(placement.tolerations),
        "priorityClassName": settings.priority_class,
        "serviceAccountName": spec.service_account,
    }
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE,
        "securityContext": _identity(spec),
        "containers": [_container(work, settings)],
        "volumes": volumes,
        **{k: v for k, v in optional.items() if v},
    }


def _identity(spec: Spec) -> dict[str, Any]:
    """Who the loader is: the owner that is asked for, since without rights it cannot give files away."""
    owner = spec.owner
    return {
        "runAsNonRoot": True,
        "runAsUser": owner.uid if owner else USER,
        "runAsGroup": owner.gid if owner else USER,
        "fsGroup": owner.gid if owner else USER,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _container(work: Work, settings: LoadSettings) -> dict[str, Any]:
    given = settings.resources
    return {
        "name": CONTAINER,
        "image": settings.image,
        "args": [*arguments(_exactly(work), settings, anonymous=work.access.anonymous), *_strange(work.claim)],
        "env": [{"name": "HOME", "value": "/tmp"}, *work.access.env],  # noqa: S108 - a volume of its own
        "resources": {
            "requests": {"cpu": given.cpu, "memory": given.memory, "ephemeral-storage": given.scratch},
            "limits": {"cpu": given.cpu_limit, "memory": given.memory_limit, "ephemeral-storage": "256Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePath": TERMINATION_LOG,
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {"name": "data", "mountPath": DATA},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            *work.access.mounts,
        ],
    }


def _exactly(work: Work) -> Spec:
    """What a claim was born with and the source has no more is deleted: nobody but a loader has written there yet."""
    return replace(work.spec, delete=True) if work.claim.origin and work.claim.fresh else work.spec


def _strange(claim: Claim) -> list[str]:
    """Options for a volume that others have filled. Its claim's uid was known to nobody when they did."""
    if not claim.foreign:
        return []
    return [f"--distrust={claim.uid}", *(["--delete-excluded"] if claim.fresh else [])]


def arguments(spec: Spec, settings: LoadSettings, *, anonymous: bool) -> list[str]:
    """Arguments of the loader's image: `kaas load …`."""
    found = ["load", str(spec.source), f"{DATA}/{spec.path}" if spec.path else DATA, "--job"]
    found += ["--termination-log", TERMINATION_LOG, "--verify", spec.verify.value]
    valued = {
        "--include": spec.include,
        "--exclude": spec.exclude,
        "--owner": str(spec.owner) if spec.owner else "",
        "--endpoint": spec.endpoint,
        "--region": spec.region,
        "--shards": str(spec.shards) if spec.shards > 1 else "",
        "--max-rate": str(spec.max_rate // spec.shards) if spec.max_rate else "",
        "--allow-endpoints": ",".join([*settings.allow_endpoints, *(f"!{cidr}" for cidr in settings.keep_out)]),
    }
    flags = {"--delete": spec.delete, "--anonymous": anonymous, "--requester-pays": spec.requester_pays}
    found += [f"{option}={value}" for option, value in valued.items() if value]
    return found + [flag for flag, on in flags.items() if on]


def network_policy(namespace: str, settings: LoadSettings) -> Object:
    """Keeps all from loaders of a namespace, and loaders from all but DNS, HTTPS, and what is allowed."""
    loaders = {"matchExpressions": [{"key": terms.LOADER_LABEL, "operator": "Exists"}]}
    dns = [{"protocol": p, "port": 53} for p in ("UDP", "TCP")]
    egress: list[dict[str, Any]] = [
        {"ports": dns},
        {"ports": [{"protocol": "TCP", "port": 443}], "to": _outside(settings.keep_out)},
    ]
    if allowed := [peer for entry in settings.allow_endpoints if (peer := _allowed(entry, settings.keep_out))]:
        egress.append({"to": allowed})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": POLICY,
            "namespace": namespace,
            "labels": {_MANAGED_BY: terms.MANAGER},
        },
        "spec": {"podSelector": loaders, "policyTypes": ["Ingress", "Egress"], "egress": egress},
    }


_LINK_LOCAL: Final = {4: "169.254.0.0/16", 6: "fe80::/10"}
_ALL: Final = {4: "0.0.0.0/0", 6: "::/0"}


def _outside(keep_out: tuple[str, ...]) -> list[dict[str, Any]]:
    """All addresses but link-local ones, where metadata servers are, and those that are to be kept out."""
    networks = [ipaddress.ip_network(cidr) for cidr in keep_out]
    found = []
    for version, everything in _ALL.items():
        others = [str(n) for n in networks if n.version == version]
        found.append({"ipBlock": {"cidr": everything, "except": [_LINK_LOCAL[version], *others]}})
    return found


def _allowed(entry: str, keep_out: tuple[str, ...]) -> dict[str, Any] | None:
    """The network that an entry means, without what is to be kept out of it, for that wins, as in the loader.

    None for the name of a host, which a policy cannot say, and for what is kept out as a whole.
    """
    try:
        network = ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None
    others = [n for cidr in keep_out if (n := ipaddress.ip_network(cidr)).overlaps(network)]
    if any(other.prefixlen <= network.prefixlen for other in others):
        return None
    return {"ipBlock": {"cidr": str(network), **({"except": [str(n) for n in others]} if others else {})}}
