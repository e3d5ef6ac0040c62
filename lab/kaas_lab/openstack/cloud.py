"""A whole OpenStack cloud: up, what runs, and starting or ending one of its services."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kaas_lab.layout import Layout
from kaas_lab.openstack import configuration, seeds, snapshots
from kaas_lab.openstack.environment import SERVICES_PATH, Say, ensure_environment, environment_path
from kaas_lab.openstack.site import SERVICES, Host, Service, Site, describe, load, spread_hosts
from kaas_lab.processes import ProcessFailed, find, spawn, stop, tail

LIMIT = 300.0  # seconds for a part to come up; what ends earlier is noticed at once
MARKS = {"nova": ("computes",), "cinder": ("volumes",)}  # beyond `<service>.up`


def up(layout: Layout, site: str, index: int, *, say: Say, hosts: Sequence[Host] | None = None) -> None:
    """Bring up the cloud `site` and return when it is ready for servers; does nothing for what runs already.

    index: 0 or 1, the number of the site in the lab. hosts: default `spread_hosts()`.
    The first time on a machine this makes the environment and a snapshot, which later clouds start from.
    A cloud that was up before keeps what it holds. Raises ProcessFailed with the end of a log, and EnvironmentFailed.
    """
    cloud = Site(layout, site, index, tuple(hosts) if hosts is not None else spread_hosts())
    environment = ensure_environment(say)
    fresh = _prepare(cloud, environment, say)
    try:
        _start(cloud, seeding=fresh, say=say)
    except BaseException:
        stop(running(cloud).values())
        raise
    if fresh:
        say("OpenStack: keeping a snapshot")
        snapshots.save(cloud)


def _prepare(site: Site, environment: Path, say: Say) -> bool:
    """Directory, databases and configuration; whether the cloud still has to be seeded."""
    seeded = site.state / "seeded"
    if seeded.exists():
        _check_unchanged(site)
    else:
        stop(running(site).values())
        shutil.rmtree(site.state, ignore_errors=True)
        site.state.mkdir(parents=True)
        if snapshots.restore(site):
            say("OpenStack: from a snapshot")
            seeded.touch()
    (site.state / "site.json").write_text(json.dumps(describe(site), indent=1))
    configuration.write(site, environment)
    return not seeded.exists()


def _check_unchanged(site: Site) -> None:
    known = json.loads((site.state / "site.json").read_text())
    now = json.loads(json.dumps(describe(site)))
    changed = sorted(key for key in now if now[key] != known.get(key))
    if changed:
        raise ValueError(
            f"OpenStack site {site.name!r} at {site.state} was made with another {', '.join(changed)}: "
            "bring it up with the same settings, or remove it with `down --purge`"
        )


def _start(site: Site, *, seeding: bool, say: Say) -> None:
    alive = running(site)
    missing = [service for service in SERVICES if service.name not in alive]
    if not missing:
        return
    say(f"OpenStack: starting {', '.join(service.name for service in missing)}")
    catalog = site.state / "run/catalog"
    if seeding:
        catalog.unlink(missing_ok=True)
    else:
        catalog.touch()
    started = {service: launch(site, service) for service in missing}
    if seeding:
        _await_marks(site, started, ["keystone.up"])
        say("OpenStack: users and catalogue")
        seeds.seed_identity(site)
        _await_marks(site, started, ["placement.up"])
        catalog.touch()
    await_ready(site, started)
    if seeding:
        say("OpenStack: networks, images, flavors, zones")
        seeds.seed(site)
        (site.state / "seeded").touch()


def _marks(service: Service) -> list[str]:
    return [f"{service.name}.up", *MARKS.get(service.name, ())]


def launch(site: Site, service: Service) -> subprocess.Popen[bytes]:
    """Start the process of a service; `await_ready` tells when it answers."""
    for mark in _marks(service):
        (site.state / "run" / mark).unlink(missing_ok=True)
    environment = environment_path()
    return spawn(
        site.layout.state,
        site.process_name(service),
        [environment / "bin/python", "-P", "-m", "kaas_cloud.serve", service.name, site.state],
        log=site.log(service),
        cwd=site.state,
        env={
            "PYTHONPATH": str(SERVICES_PATH),
            "HOME": str(site.state),
            # stevedore's cache of entry points; -P above, for with a path of the site's own it would never hit
            "XDG_CACHE_HOME": str(environment / "var/cache"),
            "OS_CLIENT_CONFIG_FILE": os.devnull,
            "SPT_NOENV": "1",  # setproctitle writes over the environment, in which a process of the lab has its mark
            "MALLOC_ARENA_MAX": "2",  # dozens of threads, one of which runs: more arenas only cost memory
        },
    )


def await_ready(site: Site, started: dict[Service, subprocess.Popen[bytes]]) -> None:
    """Return when the services answer. Raises ProcessFailed as soon as one of them ends."""
    _await_marks(site, started, [mark for service in started for mark in _marks(service)])


def _await_marks(site: Site, started: dict[Service, subprocess.Popen[bytes]], marks: Sequence[str]) -> None:
    end = time.monotonic() + LIMIT
    while missing := [mark for mark in marks if not (site.state / "run" / mark).exists()]:
        for service, process in started.items():
            if (code := process.poll()) is not None:
                raise _failure(site, service, f"ended with exit code {code}")
        if time.monotonic() > end:
            named = next((s for s in started if missing[0] in _marks(s)), SERVICES[0])
            raise _failure(site, named, f"is not ready after {LIMIT:.0f} s")
        time.sleep(0.03)


def _failure(site: Site, service: Service, what: str) -> ProcessFailed:
    log = site.log(service)
    return ProcessFailed(f"{site.process_name(service)} {what}; the end of {log}:\n{tail(log)}")


def running(site: Site) -> dict[str, int]:
    """Services that have a living process, with its id."""
    names = {site.process_name(service): service.name for service in SERVICES}
    return {names[name]: pid for pid, name in find(site.layout.state).items() if name in names}


def stop_service(site: Site, service: Service) -> None:
    """End the process of a service, if there is one."""
    stop([pid for name, pid in running(site).items() if name == service.name])


def start_service(site: Site, service: Service) -> None:
    """Start a service that does not run, and wait until it answers."""
    if service.name not in running(site):
        await_ready(site, {service: launch(site, service)})


def status(layout: Layout, site: str) -> dict[str, dict[str, Any]]:
    """Each service of a site: `pid` (None when it is down), `rss` in bytes, `state` and `url`.

    Raises FileNotFoundError when the site was never up.
    """
    cloud = load(layout, site)
    alive = running(cloud)
    return {service.name: _describe(alive.get(service.name), cloud.url(service)) for service in SERVICES}


def _describe(pid: int | None, url: str) -> dict[str, Any]:
    if pid is None:
        return {"pid": None, "rss": 0, "state": "down", "url": url}
    fields = _read_status(pid)
    stopped = fields.get("State", "").startswith("T")
    rss = int(fields.get("VmRSS", "0 kB").split()[0]) * 1024
    return {"pid": pid, "rss": rss, "state": "stopped" if stopped else "running", "url": url}


def _read_status(pid: int) -> dict[str, str]:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    return {key: value.strip() for key, _, value in pairs}
