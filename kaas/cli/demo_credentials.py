"""`make demo-credentials`: a Pod that is given the credentials of two clouds, on an API server of its own."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import urllib3
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from kaas_lab import build, management, processes
from kaas_lab.layout import DEFAULT_BASE_PORT, PORTS_PER_LAB, Layout, default_state
from kaas_lab.reporter import Reporter

from kaas.cli.demo import EXAMPLES, console, kaas
from kaas.credentials.install import manifests
from kaas.kube.objects import Object

HOST = "127.0.0.1"
WEBHOOK = "kaas-credential-webhook"
WEBHOOK_PORT, METRICS_PORT = 90, 91  # offsets
PATIENCE = 60.0  # seconds
NAMESPACE = "team-a"
PROJECT = "team-a-123"
PATHS = {
    "Namespace": "api/v1/namespaces",
    "ServiceAccount": "api/v1/namespaces/{namespace}/serviceaccounts",
    "Pod": "api/v1/namespaces/{namespace}/pods",
    "ClusterRole": "apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "Role": "apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles",
    "RoleBinding": "apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings",
    "MutatingWebhookConfiguration": "apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    "ValidatingWebhookConfiguration": "apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    "ValidatingAdmissionPolicy": "apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
}


def layout() -> Layout:
    """Beside the lab of `make demo`, not in it."""
    return Layout(default_state().with_name("credentials-demo"), DEFAULT_BASE_PORT + PORTS_PER_LAB)


def main(argv: list[str]) -> int:
    """`up` or `down`; returns the exit code."""
    if argv not in (["up"], ["down"]):
        console.print("usage: python -m kaas.cli.demo_credentials up|down")
        return 2
    return up() if argv == ["up"] else down()


def up() -> int:
    """Show it; returns the exit code."""
    start, place = time.monotonic(), layout()
    _server(place)
    _webhook(place)
    file = EXAMPLES / "credentials" / "pod.yaml"
    namespace, account, pod = yaml.safe_load_all(file.read_text())
    _apply(place, namespace)
    _apply(place, account)
    if code := _secrets(place):
        return code
    _refused(place)
    _pod(place, file, pod)
    console.print(
        f"\n[green]The Pod has both clouds' credentials[/green], after {time.monotonic() - start:.0f} s. Try:"
    )
    console.print(f"  export KUBECONFIG={place.kubeconfig}")
    console.print(f"  kubectl -n {NAMESPACE} get pod trainer -o yaml")
    console.print("  make demo-down")
    return 0


def down() -> int:
    """End what `up` started, and remove its files; returns the exit code."""
    place = layout()
    processes.stop_all(place.state)
    shutil.rmtree(place.state, ignore_errors=True)
    return 0


def _server(place: Layout) -> None:
    if "kube-apiserver" in processes.find(place.state).values():
        return
    console.print("A bare kube-apiserver, without nodes: Pods are made, and nobody runs them")
    build.ensure(["bare"], place, Reporter())
    management.up(place, ())


def _webhook(place: Layout) -> None:
    """Installed as outside of a cluster, and run as a process."""
    if WEBHOOK in processes.find(place.state).values():
        return
    port = place.management_port(WEBHOOK_PORT)
    url = f"https://{HOST}:{port}"
    console.print(f"[bold]$ kaas credential-webhook manifests --url {url} | kubectl apply -f -[/bold]")
    for document in yaml.safe_load_all(manifests.render(manifests.values({"url": url}))):
        _apply(place, document)
    metrics = place.management_port(METRICS_PORT)
    words = ["--kubeconfig", str(place.kubeconfig), "credential-webhook"]
    words += ["--port", str(port), "--name", HOST, "--metrics-port", str(metrics)]
    console.print(f"[bold]$ kaas {' '.join(words)} &[/bold]")
    log = place.logs / f"{WEBHOOK}.log"
    process = processes.spawn(place.state, WEBHOOK, [sys.executable, "-m", "kaas", *words], log=log)
    processes.wait_until(WEBHOOK, lambda: _is_ready(metrics), process, log, PATIENCE)


def _is_ready(port: int) -> bool:
    try:
        return urllib3.request("GET", f"http://{HOST}:{port}/readyz", retries=False, timeout=2.0).status == 200  # noqa: PLR2004 - HTTP
    except urllib3.exceptions.HTTPError:
        return False


def _secrets(place: Layout) -> int:
    """One from a file, one made from a key file; both are checked on the way."""
    shared = ["--kubeconfig", str(place.kubeconfig), "-n", NAMESPACE]
    if code := kaas(*shared, "apply", "-f", str(EXAMPLES / "credentials" / "aws-secret.yaml")):
        return code
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "key.json"
        file.write_text(json.dumps(_key_file()))
        return kaas(*shared, "credentials", "create", "gcp", "team-gcs", "--key-file", str(file), "--apply")


def _key_file() -> dict[str, str]:
    """As Google makes it, of a key that nobody knows."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "0123456789abcdef0123456789abcdef01234567",
        "private_key": pem.decode(),
        "client_email": f"loader@{PROJECT}.iam.gserviceaccount.com",
        "client_id": "123456789012345678901",
        "token_uri": "https://oauth2.googleapis.com/token",
    }


def _refused(place: Layout) -> None:
    """The commonest error, and what its author is told."""
    secret = yaml.safe_load((EXAMPLES / "credentials" / "aws-secret.yaml").read_text())
    secret["stringData"]["AWS_SECRET_ACCESS_KEY"] += "\n"
    console.print("The same Secret, with a line break that `echo` added:")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(secret, file)
        file.flush()
        kaas("--kubeconfig", str(place.kubeconfig), "apply", "-f", file.name)


def _pod(place: Layout, file: Path, pod: Object) -> None:
    path = PATHS["Pod"].format(namespace=NAMESPACE)
    _request(place, "DELETE", f"{path}/{pod['metadata']['name']}?gracePeriodSeconds=0")  # of an earlier demo
    console.print(f"[bold]$ kubectl create -f {file.relative_to(EXAMPLES.parent)}[/bold]")
    answer = _request(place, "POST", path, pod)
    for header in answer.headers.getlist("Warning"):
        text = header.partition('"')[2].rpartition('"')[0].replace('\\"', '"')
        console.print(f"[yellow]Warning: {text}[/yellow]")
    stored = _taken(answer)
    console.print(f"  injected: {stored['metadata']['annotations']['kaas.internal/injected']}")
    for container in stored["spec"]["containers"]:
        console.print(f"  container [bold]{container['name']}[/bold]")
        for line in _lines(container) or ["nothing"]:
            console.print(f"    {line}", markup=False)
    for volume in stored["spec"]["volumes"]:
        console.print(f"  volume {volume['name']}: {json.dumps(volume.get('secret') or volume.get('projected'))}")


def _lines(container: Object) -> list[str]:
    """Variables and mounts of a container."""
    variables = [f"{entry['name']:<40} {_value(entry)}" for entry in container.get("env") or ()]
    mounts = [f"{mount['mountPath']:<40} volume {mount['name']}" for mount in container.get("volumeMounts") or ()]
    return variables + mounts


def _value(entry: Object) -> str:
    if "value" in entry:
        return str(entry["value"])
    source = entry["valueFrom"]["secretKeyRef"]
    optional = ", if it has one" if source.get("optional") else ""
    return f"key {source['key']} of Secret {source['name']}{optional}"


def _apply(place: Layout, document: Object) -> None:
    meta = document["metadata"]
    path = PATHS[document["kind"]].format(namespace=meta.get("namespace"))
    _taken(_request(place, "PATCH", f"{path}/{meta['name']}?fieldManager=demo&force=true", document))


def _request(place: Layout, method: str, path: str, body: Object | None = None) -> urllib3.BaseHTTPResponse:
    ca, own, key = (str(place.certificates / name) for name in ("ca.crt", "admin.crt", "admin.key"))
    url = f"{management.api_server(place).url}/{path}"
    with urllib3.PoolManager(ca_certs=ca, cert_file=own, key_file=key, retries=False) as pool:
        content = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        data = json.dumps(body) if body is not None else None
        return pool.request(method, url, body=data, headers={"Content-Type": content})


def _taken(answer: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()
    if answer.status >= 400:  # noqa: PLR2004 - HTTP
        raise SystemExit(f"the API server refused: {found.get('message')}")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
