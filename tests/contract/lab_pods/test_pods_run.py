"""Pods of the lab run: as processes of this machine, told by a played kubelet to the real API server."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from kaas_lab import processes

from tests.contract.lab_pods.cluster import Cluster

DATA = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
STUBBORN = "trap '' TERM; echo begun; while :; do sleep 0.1; done"
AT_DATA = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}


def shell(script: str) -> tuple[str, str, str]:
    return "sh", "-c", script


def begun(cluster: Cluster, name: str) -> None:
    """Wait until a Pod's program has said so; a container runs a moment before its program does."""
    cluster.phase(name, "Running")
    cluster.wait(f"{name} has begun", lambda: "begun" in cluster.log(name))


def test_a_job_fills_a_claim_and_is_complete(cluster: Cluster) -> None:
    cluster.claim("data")
    container: dict[str, Any] = {"name": "load", "image": "registry.internal/kaas:v1", "args": ["--help"], **AT_DATA}
    filler = {"name": "fill", "image": "busybox", "command": list(shell("echo filled > /data/file")), **AT_DATA}
    template = {
        "spec": {"restartPolicy": "Never", "initContainers": [filler], "containers": [container], "volumes": [DATA]}
    }
    cluster.create("Job", "load", spec={"template": template})

    def complete() -> bool:
        conditions = (cluster.find("Job", "load") or {}).get("status", {}).get("conditions") or ()
        return any(c["type"] == "Complete" and c["status"] == "True" for c in conditions)

    cluster.wait("Job is Complete", complete)
    assert (cluster.lab.volume(cluster.namespace, "data") / "file").read_text() == "filled\n"
    (pod,) = cluster.all("Pod")
    assert "kaas" in cluster.log(pod["metadata"]["name"])


def test_exit_code_and_termination_message(cluster: Cluster) -> None:
    cluster.pod("p", *shell("echo because > /dev/termination-log; exit 64"))
    ended = cluster.ended("p")
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (64, "Error", "because\n")


def test_a_termination_message_from_the_log(cluster: Cluster) -> None:
    cluster.pod("p", *shell("echo said; exit 1"), container={"terminationMessagePolicy": "FallbackToLogsOnError"})
    assert cluster.ended("p")["message"] == "said"


def test_a_container_gets_its_variables_and_files(cluster: Cluster) -> None:
    data = {"key": base64.b64encode(b"hidden").decode()}
    cluster.create("Secret", "s", data=data)
    cluster.create("ConfigMap", "c", data={"a": "1"})
    env = [
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ]
    volumes = [{"name": "s", "secret": {"secretName": "s"}}, {"name": "c", "configMap": {"name": "c"}}]
    mounts = [{"name": "s", "mountPath": "/secret", "readOnly": True}, {"name": "c", "mountPath": "/config"}]
    script = "echo $KEY $NODE $(cat /secret/key) $(cat /config/a)"
    cluster.pod("p", *shell(script), volumes=volumes, container={"env": env, "volumeMounts": mounts})
    assert cluster.ended("p")["exitCode"] == 0
    node = (cluster.find("Pod", "p") or {})["spec"]["nodeName"]
    assert cluster.log("p") == f"hidden {node} hidden 1\n"


def test_a_token_that_the_api_server_takes(cluster: Cluster) -> None:
    source = {"serviceAccountToken": {"path": "token", "audience": "sts", "expirationSeconds": 600}}
    volume = {"name": "token", "projected": {"sources": [source]}}
    mount = {"volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets/cloud"}]}
    cluster.pod("p", *shell("cat /var/run/secrets/cloud/token"), volumes=[volume], container=mount)
    assert cluster.ended("p")["exitCode"] == 0
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}
    body = {**review, "spec": {"token": cluster.log("p"), "audiences": ["sts"]}}
    _, answer = cluster.api.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body)
    assert answer["status"]["user"]["username"] == f"system:serviceaccount:{cluster.namespace}:default"


def test_logs_are_chosen_by_options_and_followed(cluster: Cluster) -> None:
    cluster.pod("p", *shell("echo one; echo two; echo three >&2; sleep 1; echo four"))
    cluster.phase("p", "Running", "Succeeded")
    assert cluster.log("p", follow="true").splitlines()[-1] == "four"
    assert cluster.log("p", tailLines="1") == "four\n"
    assert sorted(cluster.log("p").splitlines()) == ["four", "one", "three", "two"]


def test_a_deleted_pod_is_told_to_stop(cluster: Cluster) -> None:
    cluster.claim("data")
    script = "trap 'echo stopped > /data/end; exit 75' TERM; touch /data/begun; while :; do sleep 0.1; done"
    cluster.pod("p", *shell(script), volumes=[DATA], container=AT_DATA)
    cluster.bound("data")
    volume = cluster.lab.volume(cluster.namespace, "data")
    cluster.wait("it has begun", (volume / "begun").exists)
    cluster.delete("Pod", "p")
    cluster.wait("it has gone", lambda: cluster.find("Pod", "p") is None)
    assert (volume / "end").read_text() == "stopped\n"


def test_one_that_does_not_stop_is_killed(cluster: Cluster) -> None:
    cluster.pod("p", *shell(STUBBORN), terminationGracePeriodSeconds=1)
    begun(cluster, "p")
    cluster.delete("Pod", "p")
    cluster.wait("it has gone", lambda: cluster.find("Pod", "p") is None)


def test_a_container_ends_with_its_first_process(cluster: Cluster) -> None:
    cluster.pod("p", *shell("sleep 1000 & echo over"))
    assert cluster.ended("p")["exitCode"] == 0
    cluster.wait("nothing of it runs", lambda: not left(cluster))
    assert cluster.log("p") == "over\n"


def test_one_that_is_removed_by_force_is_killed_at_once(cluster: Cluster) -> None:
    cluster.pod("p", *shell(STUBBORN), terminationGracePeriodSeconds=1000)
    begun(cluster, "p")
    cluster.delete("Pod", "p")
    cluster.delete("Pod", "p", gracePeriodSeconds="0")
    cluster.wait("nothing of it runs", lambda: not left(cluster))


def left(cluster: Cluster) -> list[str]:
    """Processes of the namespace's Pods."""
    found = processes.find(cluster.lab.state).values()
    return [name for name in found if name.startswith(f"pod/{cluster.namespace}/")]


def test_a_pod_past_its_deadline_has_failed(cluster: Cluster) -> None:
    cluster.pod("p", "sleep", "1000", activeDeadlineSeconds=1)
    assert cluster.phase("p", "Failed")["status"]["reason"] == "DeadlineExceeded"


def test_what_is_killed_has_the_signals_exit_code(cluster: Cluster) -> None:
    cluster.pod("p", "sleep", "1000")
    cluster.phase("p", "Running")
    cluster.wait("it was killed", lambda: cluster.lab.kill(cluster.namespace, "p"))
    assert cluster.ended("p")["exitCode"] == 137


def test_a_pod_whose_memory_is_out_is_told_to_be(cluster: Cluster) -> None:
    script = "exec python3 -c 'bytearray(1 << 30)'"
    cluster.pod("p", *shell(script), container={"resources": {"limits": {"memory": "64Mi"}}})
    ended = cluster.ended("p")
    if ended["exitCode"] == 0:
        pytest.skip("this machine lets nobody make control groups")
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")


def test_an_evicted_pod_is_a_disruption_to_its_job(cluster: Cluster) -> None:
    container = {"name": "main", "image": "busybox", "command": ["sleep", "1000"]}
    rules = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
    template = {"spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container]}}
    policy = {"backoffLimit": 0, "podFailurePolicy": {"rules": rules}}
    cluster.create("Job", "job", spec={**policy, "template": template})

    def running() -> str | None:
        return next((p["metadata"]["name"] for p in cluster.all("Pod") if p["status"].get("phase") == "Running"), None)

    first = cluster.wait("its Pod runs", running)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": first}}
    status, answer = cluster.api.call("POST", f"{cluster.path('Pod', first)}/eviction", eviction)
    assert status == 201, answer
    cluster.wait("another Pod runs", lambda: running() not in {None, first})
    assert not (cluster.find("Job", "job") or {})["status"].get("conditions")


def test_a_stateful_set_has_its_pods_and_their_claims(cluster: Cluster) -> None:
    container = {"name": "main", "image": "pytorch", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "storageClassName": "lab-immediate",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    labels = {"app": "set"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 2, "serviceName": "set", "selector": {"matchLabels": labels}, "template": template}
    cluster.create("StatefulSet", "set", spec={**spec, "volumeClaimTemplates": [claim]})
    cluster.phase("set-0", "Running")
    cluster.phase("set-1", "Running")
    assert cluster.lab.volume(cluster.namespace, "data-set-1").is_dir()


def test_a_container_is_started_again_until_it_does_its_work(cluster: Cluster) -> None:
    cluster.claim("data")
    script = "test -e /data/again && exit 0; touch /data/again; exit 1"
    cluster.pod("p", *shell(script), restartPolicy="OnFailure", volumes=[DATA], container=AT_DATA)
    pod = cluster.phase("p", "Succeeded")
    (status,) = pod["status"]["containerStatuses"]
    assert (status["restartCount"], status["lastState"]["terminated"]["exitCode"]) == (1, 1)


def test_init_containers_run_in_their_order(cluster: Cluster) -> None:
    inits = [
        {"name": name, "image": "busybox", "command": list(shell(f"echo {name} >> /data/order")), **AT_DATA}
        for name in ("one", "two")
    ]
    empty = {"name": "data", "emptyDir": {}}
    cluster.pod("p", *shell("cat /data/order"), initContainers=inits, volumes=[empty], container=AT_DATA)
    assert cluster.ended("p")["exitCode"] == 0
    assert cluster.log("p") == "one\ntwo\n"


def test_a_failed_init_container_fails_the_pod(cluster: Cluster) -> None:
    init = {"name": "init", "image": "busybox", "command": ["false"]}
    cluster.pod("p", "true", initContainers=[init])
    pod = cluster.phase("p", "Failed")
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 1
    assert "waiting" in pod["status"]["containerStatuses"][0]["state"]


def test_a_missing_secret_is_told_and_waited_for(cluster: Cluster) -> None:
    env = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}}]
    cluster.pod("p", *shell("echo $KEY"), container={"env": env})
    assert cluster.waiting("p", "CreateContainerConfigError") == 'secret "s" not found'
    cluster.create("Secret", "s", data={"key": base64.b64encode(b"late").decode()})
    cluster.ended("p")
    assert cluster.log("p") == "late\n"


def test_a_volume_of_a_missing_secret_is_told(cluster: Cluster) -> None:
    volume = {"name": "s", "secret": {"secretName": "missing"}}
    mount = {"volumeMounts": [{"name": "s", "mountPath": "/secret"}]}
    cluster.pod("p", "true", volumes=[volume], container=mount)
    cluster.event("FailedMount", 'MountVolume.SetUp failed for volume "s" : secret "missing" not found')
    cluster.waiting("p", "ContainerCreating")


def test_a_program_that_is_not_there_is_told(cluster: Cluster) -> None:
    cluster.pod("p", "no-such-program")
    ended = cluster.ended("p")
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert 'exec: "no-such-program": executable file not found' in ended["message"]


def test_a_pod_with_a_gate_is_not_scheduled(cluster: Cluster) -> None:
    cluster.pod("p", "true", schedulingGates=[{"name": "kaas.internal/data-load"}])

    def gated() -> bool:
        conditions = (cluster.find("Pod", "p") or {}).get("status", {}).get("conditions") or ()
        return any(c.get("reason") == "SchedulingGated" for c in conditions)

    cluster.wait("the scheduler says that it is gated", gated)
    operations = [{"op": "remove", "path": "/spec/schedulingGates"}]
    status, answer = cluster.api.call(
        "PATCH", cluster.path("Pod", "p"), operations, content="application/json-patch+json"
    )
    assert status == 200, answer
    assert cluster.ended("p")["exitCode"] == 0


@pytest.mark.parametrize("code", [0, 3])
def test_an_image_that_the_lab_does_not_know_is_played(cluster: Cluster, code: int) -> None:
    container = {"name": "main", "image": "pytorch:2", "command": ["python", "train.py"]}
    spec = {"restartPolicy": "Never", "containers": [container]}
    cluster.create("Pod", "sleeper", spec=spec)
    cluster.create("Pod", "p", metadata={"annotations": {"lab.kaas.internal/exit": str(code)}}, spec=spec)
    assert cluster.ended("p")["exitCode"] == code
    cluster.phase("sleeper", "Running")
