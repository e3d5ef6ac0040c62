"""A machine without mount namespaces: paths of mounts are put in place in what the container is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract import workloads
from tests.contract.lab_pods.cluster import Cluster, fresh


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A lab whose containers have no namespaces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAAS_LAB_NAMESPACES", "no")
        with workloads.running(tmp_path_factory.mktemp("plain"), ()) as lab:
            yield fresh(lab)


def test_a_volume_and_the_termination_message_are_found(plain: Cluster) -> None:
    plain.claim("data")
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    container = {
        "env": [{"name": "TARGET", "value": "/data/file"}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    script = "echo filled > $TARGET; ls /data > /dev/termination-log"
    plain.pod("p", "sh", "-c", script, volumes=volumes, container=container)
    ended = plain.ended("p")
    assert (ended["exitCode"], ended["message"]) == (0, "file\n")
    assert (plain.lab.volume(plain.namespace, "data") / "file").read_text() == "filled\n"
