"""One platform on the OpenStack lab and one on the in-memory provider, each made once a session when asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kaas_lab import lab

from tests.e2e.platform import CRDS, Platform, platform


@pytest.fixture(scope="session")
def openstack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Cluster API, CAPO and OpenStack services, with Site and Releases of the examples applied."""
    with platform(tmp_path_factory.mktemp("openstack"), lab.Options(crds=CRDS)) as found:
        found.kaas("apply", "-f", found.examples / "releases.yaml", "-f", found.examples / "site-lab.yaml")
        yield found


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Cluster API with the in-memory provider."""
    with platform(tmp_path_factory.mktemp("dev"), lab.Options(parts=("dev",), crds=CRDS)) as found:
        found.kaas("apply", "-f", found.examples / "releases.yaml", "-f", found.examples / "site-dev.yaml")
        yield found
