"""From a container's spec to its process: image, environment, mounts. What is missing is told as kubelets do."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaas_lab import processes
from kaas_lab.machines.api import Object

from . import container, environment, images
from .client import Client
from .container import CannotStart, Container
from .environment import ConfigError, Sources
from .limits import Limits, group_name
from .sandbox import Mount, Program

MESSAGE_PATH = "/dev/termination-log"
_PLURALS = {"Secret": "secrets", "ConfigMap": "configmaps"}
NONROOT = 65532
"""User of every image of the lab, as of `distroless:nonroot`."""


class Refused(Exception):
    """A container that does not start for now; it is tried again. reason: of its state `waiting`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Files:
    """Of one run of a container. log: of this run alone."""

    directory: Path
    log: Path

    @property
    def message(self) -> Path:
        """The termination message."""
        return self.directory / "termination-log"

    def fresh_message(self) -> Path:
        """An empty file for the termination message."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.message.write_bytes(b"")
        return self.message


@dataclass(frozen=True)
class Making:
    """How the containers of a lab are made. is_isolated: in mount namespaces. unpullable: images that do not pull."""

    state: Path
    table: Path
    server: tuple[str, int]
    is_isolated: bool
    unpullable: Callable[[str], bool] = lambda _: False

    async def make(
        self, client: Client, pod: Object, spec: Object, directories: Mapping[str, Path], files: Files
    ) -> Container:
        """Start a container. directories: of the Pod's volumes. Raises Refused, CannotStart and ApiError."""
        choice = self._choice(pod, spec)
        check_user(pod, spec)
        variables = await self._variables(client, pod, spec)
        message = Mount(files.fresh_message(), spec.get("terminationMessagePath") or MESSAGE_PATH)
        argv = tuple(environment.expand(word, variables) for word in choice.argv)
        if not shutil.which(argv[0], path=variables.get("PATH")):
            raise CannotStart(f'exec: "{argv[0]}": executable file not found in $PATH')
        mounts = (*_mounts(pod, spec, directories, variables), message)
        metadata = pod["metadata"]
        name = f"{container.NAMES}{metadata['namespace']}/{metadata['name']}/{spec['name']}"
        return await container.start(
            Program(argv, variables, mounts, spec.get("workingDir") or "/"),
            Limits(f"{group_name(self.state)}/{metadata['uid']}/{spec['name']}", spec.get("resources") or {}),
            directory=files.directory,
            log=files.log,
            marks={processes.MARK: str(self.state), processes.NAME: name},
            is_isolated=self.is_isolated and not choice.is_played,
        )

    def _choice(self, pod: Object, spec: Object) -> images.Choice:
        image = str(spec["image"])
        if self.unpullable(image):
            message = f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": not found'
            raise Refused("ErrImagePull", message)
        annotations = pod["metadata"].get("annotations") or {}
        try:
            return images.choose(images.read(self.table), spec, annotations)
        except ValueError as error:
            raise Refused("CreateContainerError", str(error)) from error

    async def _variables(self, client: Client, pod: Object, spec: Object) -> dict[str, str]:
        base = f"/api/v1/namespaces/{pod['metadata']['namespace']}"
        sources: Sources = {
            (kind, name): await client.find(f"{base}/{_PLURALS[kind]}/{name}")
            for kind, name in sorted(environment.wanted(spec))
        }
        host, port = self.server
        fixed = {
            "HOSTNAME": pod["spec"].get("hostname") or pod["metadata"]["name"],
            "KUBERNETES_SERVICE_HOST": host,
            "KUBERNETES_SERVICE_PORT": str(port),
        }
        try:
            return fixed | environment.build(pod, spec, sources)
        except ConfigError as error:
            raise Refused("CreateContainerConfigError", str(error)) from error


def check_user(pod: Object, spec: Object) -> None:
    """Refuse what the Pod's own security context forbids, in the kubelet's words. Nothing else of it is enforced."""
    context = {**(pod["spec"].get("securityContext") or {}), **(spec.get("securityContext") or {})}
    if context.get("runAsNonRoot") and context.get("runAsUser", NONROOT) == 0:
        metadata = pod["metadata"]
        place = f'pod: "{metadata["name"]}_{metadata["namespace"]}({metadata["uid"]})", container: {spec["name"]}'
        raise Refused("CreateContainerConfigError", f"container's runAsUser breaks non-root policy ({place})")


def _mounts(
    pod: Object, spec: Mapping[str, Any], directories: Mapping[str, Path], variables: Mapping[str, str]
) -> list[Mount]:
    found = []
    claims = {v["name"]: v.get("persistentVolumeClaim") or {} for v in pod["spec"].get("volumes") or ()}
    for mount in spec.get("volumeMounts") or ():
        part = mount.get("subPath") or environment.expand(mount.get("subPathExpr", ""), variables)
        source = directories[mount["name"]] / part
        if part and not source.exists():
            source.mkdir(parents=True)
        read_only = bool(mount.get("readOnly") or claims.get(mount["name"], {}).get("readOnly"))
        found.append(Mount(source, mount["mountPath"], read_only))
    return found
