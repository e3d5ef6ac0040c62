"""A Pod's container as a kubelet would start it: variables, volumes as files, and a program that runs with them.

Mounts lie at absolute paths, so a program runs in a mount namespace of its own (`unshare`), where each volume is bound
to its path. Where the kernel allows no such namespace, the root of the mounts is moved below a directory instead, in
variables and in files alike: everything else stays as the Pod has it.
"""

from __future__ import annotations

import base64
import itertools
import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from kaas.credentials.terms import MOUNT_ROOT
from tests.contract.credentials.clients.issuer import Issuer

Object = dict[str, Any]
PATIENCE: Final = 60.0
_ANNOTATION: Final = re.compile(r"metadata\.annotations\['(.+)'\]")
_RUN: Final = Path(MOUNT_ROOT).parents[1].resolve()  # /var/run is a link in most systems
_NAMESPACES: Final = (("unshare", "--mount"), ("unshare", "--mount", "--map-root-user"))


@cache
def namespace() -> tuple[str, ...] | None:
    """Command that gives a program mounts of its own; None where there is none."""
    works = ("sh", "-c", f"mount -t tmpfs none {_RUN}")
    for command in _NAMESPACES:
        try:
            if subprocess.run([*command, *works], capture_output=True, check=False).returncode == 0:
                return command
        except FileNotFoundError:
            return None
    return None


class Sandbox:
    """The first container of a Pod, as it was patched, with the Secrets that are there.

    directory: for its files. moved: run without a namespace, even where there is one.
    """

    def __init__(
        self, pod: Object, secrets: Mapping[str, Object], issuer: Issuer, directory: Path, *, moved: bool = False
    ) -> None:
        self._pod, self._secrets, self._issuer = pod, dict(secrets), issuer
        self._directory, self._states = directory, itertools.count()
        self._unshare = None if moved else namespace()
        self._container: Object = pod["spec"]["containers"][0]
        self.home = directory / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self._link_mounts()
        self.refresh()

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the container, and nothing else."""
        found = ((entry["name"], self._value(entry)) for entry in self._container.get("env") or ())
        return {name: self._at_its_place(value) for name, value in found if value is not None}

    def refresh(self, secrets: Mapping[str, Object] = MappingProxyType({})) -> None:
        """Write the volumes, as a kubelet does again when a Secret has changed. secrets: those that are new."""
        self._secrets.update(secrets)
        for volume in self._pod["spec"].get("volumes") or ():
            self._write(self._directory / "volumes" / volume["name"], self._files(volume))

    def run(self, *argv: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a program to its end. more: variables that are not the Pod's."""
        command, env = self._command(argv), self._all_variables(more)
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE)

    def start(self, *argv: str, **more: str) -> subprocess.Popen[str]:
        """Start a program that is spoken to line by line. more: as for `run`."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self._command(argv), env=self._all_variables(more), stdin=pipe, stdout=pipe, text=True, bufsize=1
        )

    def _all_variables(self, more: Mapping[str, str]) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), **self.environment, **more}

    def _command(self, argv: Sequence[str]) -> list[str]:
        if self._unshare is None:
            return [*argv]
        lines = ["set -e", f"mount -t tmpfs none {_RUN}"]
        for source, path in self._mounts():
            lines.append(f"mkdir -p {shlex.quote(path)}; mount --bind {shlex.quote(str(source))} {shlex.quote(path)}")
        lines.append('exec "$@"')
        return [*self._unshare, "sh", "-c", "\n".join(lines), "sh", *argv]

    def _mounts(self) -> list[tuple[Path, str]]:
        found = self._container.get("volumeMounts") or ()
        return [(self._directory / "volumes" / mount["name"], mount["mountPath"]) for mount in found]

    def _link_mounts(self) -> None:
        """What a namespace does, where there is none."""
        for source, path in self._mounts() if self._unshare is None else ():
            link = Path(self._at_its_place(path))
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(source)

    def _at_its_place(self, text: str) -> str:
        return text if self._unshare else text.replace(MOUNT_ROOT, f"{self._directory}{MOUNT_ROOT}")

    def _value(self, entry: Object) -> str | None:
        """Value of a variable; None for one that is not there, and may be missing."""
        if "value" in entry:
            return str(entry["value"])
        source = entry["valueFrom"]
        if "fieldRef" in source:
            return self._field(source["fieldRef"]["fieldPath"])
        reference = source["secretKeyRef"]
        data = self._secrets.get(reference["name"], {}).get("data", {})
        if reference["key"] not in data and reference.get("optional"):
            return None
        return base64.b64decode(data[reference["key"]]).decode()

    def _field(self, path: str) -> str:
        metadata = self._pod["metadata"]
        if found := _ANNOTATION.fullmatch(path):
            return str(metadata["annotations"][found[1]])
        return str(metadata[path.removeprefix("metadata.")])

    def _files(self, volume: Object) -> dict[str, bytes]:
        """Files of a volume, by path in it; those of the test's own volumes are none."""
        if "secret" in volume:
            return self._of_secret({**volume["secret"], "name": volume["secret"]["secretName"]})
        files: dict[str, bytes] = {}
        for source in volume.get("projected", {}).get("sources", ()):
            if "secret" in source:
                files |= self._of_secret(source["secret"])
            for item in source.get("downwardAPI", {}).get("items", ()):
                files[item["path"]] = self._field(item["fieldRef"]["fieldPath"]).encode()
            if token := source.get("serviceAccountToken"):
                files[token["path"]] = self._token(token).encode()
        return files

    def _of_secret(self, source: Object) -> dict[str, bytes]:
        data = self._secrets[source["name"]]["data"]
        items = source.get("items") or [{"key": key, "path": key} for key in data]
        return {item["path"]: base64.b64decode(data[item["key"]]) for item in items}

    def _token(self, source: Object) -> str:
        metadata = self._pod["metadata"]
        account = f"{metadata['namespace']}:{self._pod['spec']['serviceAccountName']}"
        return self._issuer.token(account, source["audience"], source["expirationSeconds"])

    def _write(self, volume: Path, files: Mapping[str, bytes]) -> None:
        """As the kubelet does: a state of its own, which the link `..data` names, and links through that one."""
        state = volume / f"..{next(self._states)}"
        for name, content in files.items():
            file = state / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self._at_its_place(content.decode()))
            file.chmod(0o444)
            first = Path(name).parts[0]
            if not (volume / first).is_symlink():
                (volume / first).symlink_to(Path("..data") / first)
        if files:
            (volume / "..new").symlink_to(state.name)
            (volume / "..new").rename(volume / "..data")
        volume.mkdir(parents=True, exist_ok=True)
