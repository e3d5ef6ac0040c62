"""A whole lab: the management cluster, its OpenStack sites and their machines, up and down together."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

from kaas_lab import build, machines, management, openstack, pods, processes, record, sockets
from kaas_lab.crew import Crew
from kaas_lab.layout import Layout
from kaas_lab.programs import CAPO, CLUSTER_API, KUBERNETES
from kaas_lab.providers import CORE
from kaas_lab.record import NoLab, Record
from kaas_lab.reporter import Reporter

SITES = ("lab", "lab-2")
PATIENCE = 3.0  # seconds; etcd has what kube-apiserver knows, so nothing is lost by ending it hard
VERSIONS = {"kubernetes": KUBERNETES, "clusterApi": CLUSTER_API, "capo": CAPO}
PODS = "pods"
_PROVIDERS = {"dev": ("capdev",), "openstack": ("capo",)}


class PortsTaken(Exception):
    """Something listens at an address of the lab."""


class AlreadyUp(Exception):
    """The lab runs, but with other parts than it is asked to."""


@dataclass(frozen=True)
class Options:
    """What a lab consists of.

    parts: any of `dev`, `openstack` and `pods`; none is Cluster API without infrastructure, `pods` alone is a cluster
    without Cluster API. sites: 1 or 2 OpenStack clouds. crds: directory of CustomResourceDefinitions to install, or
    None. pods: nodes and images of a lab in which Pods run.
    """

    parts: tuple[str, ...] = ("openstack",)
    sites: int = 1
    crds: Path | None = None
    pods: pods.Settings = field(default_factory=pods.Settings)


def up(layout: Layout, options: Options, reporter: Reporter) -> Record:
    """Start a lab and return when all of it is ready; it runs on as daemons until `down`.

    A lab that is up already is left as it is. What an `up` that was killed has left is stopped first.
    Raises AlreadyUp, PortsTaken, ProcessFailed or BuildFailed; before it does, or on Ctrl-C and SIGTERM, it stops
    whatever it has started.
    """
    wanted = _record(layout, options)
    if _is_up(layout, wanted):
        reporter.say("the lab is up already")
        return wanted
    _clear(layout)
    wanted.write(layout.state)
    with _stopping_on_failure(layout):
        _start(layout, options, wanted, reporter)
    ready = replace(wanted, is_ready=True)
    ready.write(layout.state)
    return ready


def _record(layout: Layout, options: Options) -> Record:
    sites = SITES[: options.sites] if "openstack" in options.parts else ()
    return Record(layout.base_port, tuple(sorted(set(options.parts))), sites, versions=VERSIONS)


def _is_up(layout: Layout, wanted: Record) -> bool:
    found = record.find(layout.state)
    if found is None or not found.is_ready or "kube-apiserver" not in processes.find(layout.state).values():
        return False
    if found != replace(wanted, is_ready=True):
        parts = ", ".join(found.parts) or "none"
        raise AlreadyUp(f"a lab with {parts} runs at port {found.base_port} in {layout.state}: `kaas lab down` first")
    return True


def _clear(layout: Layout) -> None:
    processes.stop_all(layout.state, PATIENCE)
    if taken := sockets.in_range(layout):
        addresses = ", ".join(listener.address for listener in taken[:5])
        raise PortsTaken(f"something listens at {addresses}: stop it, or choose another --base-port")


@contextmanager
def _stopping_on_failure(layout: Layout) -> Iterator[None]:
    processes.permit(layout.state)
    # Inherited by what is started without `spawn` too, pip for example. Our own /proc entry does not change by this.
    os.environ[processes.MARK] = str(layout.state.resolve())
    try:
        with _signals(_interrupt):
            yield
    except BaseException:
        with _signals(signal.SIG_IGN):  # a second Ctrl-C must not end the stopping
            processes.forbid(layout.state)
            processes.stop_all(layout.state, PATIENCE)
        raise
    finally:
        del os.environ[processes.MARK]


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


@contextmanager
def _signals(handler: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    former = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in former.items():
            signal.signal(number, old)


def _start(layout: Layout, options: Options, wanted: Record, reporter: Reporter) -> None:
    _prepare(layout, wanted.parts, reporter)
    crew = Crew()
    crew.start("management", partial(_start_management, layout, options, reporter))
    for index, site in enumerate(wanted.sites):
        crew.start(site, partial(_start_site, layout, site, index, reporter))
    crew.wait()
    api = management.api_server(layout)
    for site in wanted.sites:
        api.apply(credentials(layout, site))


def prepare(layout: Layout, parts: tuple[str, ...], reporter: Reporter) -> None:
    """Make what is costly and kept: programs and the OpenStack environment, side by side. Stops them when it fails."""
    with _stopping_on_failure(layout):
        _prepare(layout, parts, reporter)


def _prepare(layout: Layout, parts: tuple[str, ...], reporter: Reporter) -> None:
    crew = Crew()
    crew.start("build", lambda: build.ensure(built_parts(parts), layout, reporter))
    if PODS in parts:
        crew.start("definitions", pods.definitions.ensure)
    if "openstack" in parts:
        crew.start("environment", partial(_ensure_environment, reporter))
    crew.wait()


def built_parts(parts: tuple[str, ...]) -> tuple[str, ...]:
    """What is built for a lab with these parts; keys of `programs.PARTS`."""
    return parts if parts == (PODS,) else ("management", *parts)


def _ensure_environment(reporter: Reporter) -> None:
    try:
        openstack.ensure_environment(reporter.say)
    except openstack.EnvironmentFailed as error:
        raise build.BuildFailed(str(error)) from error


def _start_management(layout: Layout, options: Options, reporter: Reporter) -> None:
    parts = sorted(set(options.parts))
    core = () if parts == [PODS] else CORE
    providers = [*core, *(name for part in parts for name in _PROVIDERS.get(part, ()))]
    crds = _documents(options.crds) if options.crds else []
    runs = options.pods if PODS in parts else None
    say = lambda text: reporter.say(f"management: {text}")  # noqa: E731
    management.start(layout, providers, extra_crds=crds, runs_pods=runs, say=say)


def _documents(directory: Path) -> list[dict[str, Any]]:
    files = sorted(directory.glob("*.yaml"))
    return [d for file in files for d in yaml.load_all(file.read_text(), yaml.CSafeLoader) if d]


def _start_site(layout: Layout, site: str, index: int, reporter: Reporter) -> None:
    openstack.up(layout, site, index, say=reporter.say)
    machines.start(layout, site, index)
    reporter.say(f"machines of {site} are played")


def credentials(layout: Layout, site: str) -> dict[str, Any]:
    """The Secret with which Cluster API and the controller enter a site: a `clouds.yaml` of one cloud, `openstack`."""
    clouds = yaml.safe_load((layout.site_state(site) / "clouds.yaml").read_text())["clouds"]
    content = yaml.safe_dump({"clouds": {"openstack": clouds["kaas"]}})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{site}-openstack", "namespace": management.NAMESPACE},
        "data": {"clouds.yaml": base64.b64encode(content.encode()).decode()},
    }


def down(state: Path, *, purge: bool = False) -> list[str]:
    """Stop a lab, whatever state its `up` was left in; returns the names of what was stopped.

    purge: also remove its state directory. Raises PortsTaken when something still listens at the lab's addresses,
    and NoLab when a directory to purge is not a lab's.
    """
    stopped = processes.stop_all(state, PATIENCE)
    pods.release(state)
    found = record.find(state)
    if found:
        replace(found, is_ready=False).write(state)
    if found and (left := sockets.in_range(Layout(state, found.base_port))):
        addresses = ", ".join(listener.address for listener in left)
        raise PortsTaken(f"no process of the lab is left, but something else listens at {addresses}")
    if purge:
        if found is None:
            raise NoLab(f"{state} is not removed: it does not hold a lab")
        shutil.rmtree(state)
    return stopped
