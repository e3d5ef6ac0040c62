"""The programs that a lab runs, and the modules and flags from which each is built.

Every module of `go/` pins one group of programs by its `go.mod` and `go.sum`. They cannot be one module: the OpenStack
provider is on an older Cluster API than the one beside it, and Kubernetes replaces its own staging modules.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from kaas_lab.layout import cache

MODULES = Path(__file__).parent / "go"
PATCHES = MODULES / "patches"
KUBERNETES = "v1.36.3"
CLUSTER_API = "v1.14.2"
CAPO = "v0.14.7"

FLAGS = ("-mod=mod", "-trimpath", "-buildvcs=false")
_VERSION = "k8s.io/component-base/version"
# Kubernetes says v0.0.0 when unstamped, and Cluster API refuses such a server.
_STAMP = f"-X {_VERSION}.gitVersion={KUBERNETES} -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor=36"


@dataclass(frozen=True)
class Substitution:
    """Text of a module's file that is replaced before it is built; it must occur exactly `count` times."""

    file: str
    old: str
    new: str
    count: int


@dataclass(frozen=True)
class Patch:
    """A module that is built from a changed copy, with files of `go/patches/` added at the paths given."""

    module: str
    substitutions: tuple[Substitution, ...]
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """One binary.

    module: directory of `go/` that pins it. weight: seconds it took on 2 cores from nothing, for the progress bar.
    """

    name: str
    module: str
    package: str
    weight: int
    stamp: str = ""
    patches: tuple[Patch, ...] = ()

    @property
    def ldflags(self) -> str:
        """Linker flags: no symbol table (a third of the size), and the version where the program has none."""
        return f"-s -w {self.stamp}".strip()

    @property
    def pin(self) -> str:
        """Hash of all that decides what is built, the toolchain aside."""
        digest = hashlib.sha256(repr((FLAGS, self.package, self.ldflags, self.patches)).encode())
        added = [file for patch in self.patches for file in patch.files]
        for file in (MODULES / self.module / "go.mod", MODULES / self.module / "go.sum", *(PATCHES / f for f in added)):
            digest.update(file.read_bytes())
        return digest.hexdigest()[:12]


# A webhook server would listen on every interface of the computer; the programs have no flag for it.
_LOOPBACK = Patch(
    module="sigs.k8s.io/controller-runtime",
    substitutions=(
        Substitution(
            "pkg/webhook/server.go",
            "net.JoinHostPort(s.Options.Host, strconv.Itoa(s.Options.Port))",
            'net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Options.Port))',
            2,
        ),
    ),
)
_MUX = "infrastructure/inmemory/pkg/server/mux.go"
_DEV_PORTS = Patch(
    # The Dev provider listens on all interfaces and at ports that are constants, so that only one could run.
    module="sigs.k8s.io/cluster-api/test",
    substitutions=(
        Substitution(_MUX, 'net.Listen("tcp", fmt.Sprintf(":%d"', 'net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d"', 3),
        Substitution(
            "infrastructure/docker/main.go",
            "NewWorkloadClustersMux(inMemoryManager, podIP)",
            "NewWorkloadClustersMux(inMemoryManager, podIP, labPorts())",
            1,
        ),
    ),
    files={"dev_ports.go": "infrastructure/docker/dev_ports.go"},
)

PROGRAMS = {
    p.name: p
    for p in (
        Program("etcd", "etcd", "go.etcd.io/etcd/server/v3", 44),
        Program("kube-apiserver", "kube", "k8s.io/kubernetes/cmd/kube-apiserver", 188, _STAMP),
        Program("kube-controller-manager", "kube", "k8s.io/kubernetes/cmd/kube-controller-manager", 52, _STAMP),
        Program("kube-scheduler", "kube", "k8s.io/kubernetes/cmd/kube-scheduler", 8, _STAMP),
        Program("capi-core", "capi", "sigs.k8s.io/cluster-api/core", 98, patches=(_LOOPBACK,)),
        Program("capi-cabpk", "capi", "sigs.k8s.io/cluster-api/bootstrap/kubeadm", 5, patches=(_LOOPBACK,)),
        Program("capi-kcp", "capi", "sigs.k8s.io/cluster-api/controlplane/kubeadm", 8, patches=(_LOOPBACK,)),
        Program(
            "capi-capdev",
            "capi",
            "sigs.k8s.io/cluster-api/test/infrastructure/docker",
            30,
            patches=(_LOOPBACK, _DEV_PORTS),
        ),
        Program("capo", "capo", "sigs.k8s.io/cluster-api-provider-openstack", 90, patches=(_LOOPBACK,)),
        Program("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", 74),
    )
}

_BARE = ("etcd", "kube-apiserver", "kube-controller-manager")
_MANAGEMENT = (*_BARE, "capi-core", "capi-cabpk", "capi-kcp")
PARTS = {
    "bare": _BARE,
    "pods": (*_BARE, "kube-scheduler"),
    "management": _MANAGEMENT,
    "dev": (*_MANAGEMENT, "capi-capdev"),
    "openstack": (*_MANAGEMENT, "kube-scheduler", "capo", "kwok"),
}


class NotBuilt(Exception):
    """A program is asked for that was not built."""


def needed(parts: Iterable[str]) -> list[Program]:
    """Programs that the parts need, each once, in the order in which they are built."""
    names = {name for part in parts for name in PARTS[part]}
    return [program for name, program in PROGRAMS.items() if name in names]


def toolchain() -> str | None:
    """Version of the Go toolchain on PATH, for example `go1.26.8`, or None. Read from its files: no process starts."""
    go = shutil.which("go")
    if go is None:
        return None
    version = Path(go).resolve().parent.parent / "VERSION"
    return version.read_text().split()[0] if version.exists() else "go-unknown"


def target(program: Program, go: str) -> Path:
    """Where a program is once it is built by that toolchain."""
    return cache() / "bin" / f"{program.name}-{program.pin}-{go}"


def built(program: Program) -> Path | None:
    """The program as pinned, or None. Where no Go is installed, what any toolchain has built will do."""
    go = toolchain()
    found = [target(program, go)] if go else sorted((cache() / "bin").glob(f"{program.name}-{program.pin}-*"))
    return next((path for path in found if path.exists()), None)


def binary(name: str) -> Path:
    """Path of a program by its name. Raises NotBuilt when it has not been built as it is pinned now."""
    path = built(PROGRAMS[name])
    if path is None:
        raise NotBuilt(f"{name} is not built: run `kaas lab build`")
    return path
