"""User data as machines get it, whole and broken."""

from __future__ import annotations

import base64
import gzip

import pytest
from kaas_lab.machines import cloudinit
from kaas_lab.machines.cloudinit import KubeadmCommand, UserDataError

INSTANCE = cloudinit.metadata("11111111-2222-3333-4444-555555555555", "team-a-cp-1.novalocal", "az-1", "p1")

GOOD = """## template: jinja
#cloud-config

write_files:
-   path: /etc/kubernetes/pki/ca.crt
    owner: root:root
    permissions: '0640'
    content: |
      -----BEGIN CERTIFICATE-----
-   path: /etc/motd
    encoding: gz+b64
    content: PACKED
-   path: /run/kubeadm/kubeadm.yaml
    content: |
      ---
      kind: InitConfiguration
      nodeRegistration:
        name: '{{ ds.meta_data.local_hostname }}'
        kubeletExtraArgs:
        - name: provider-id
          value: openstack:///{{ instance_id }}
runcmd:
  - 'systemctl enable kubelet'
  - 'kubeadm init --config /run/kubeadm/kubeadm.yaml  && echo success > /run/cluster-api/bootstrap-success.complete'
"""


def encoded(text: str, *, packed: bool = False) -> str:
    raw = gzip.compress(text.encode()) if packed else text.encode()
    return base64.b64encode(raw).decode()


def good() -> str:
    return GOOD.replace("PACKED", base64.b64encode(gzip.compress(b"hello\n")).decode())


@pytest.mark.parametrize("packed", [False, True])
def test_files_and_commands_of_a_control_plane(packed: bool) -> None:
    config = cloudinit.parse(encoded(good(), packed=packed), INSTANCE)
    ca, motd, kubeadm = config.files
    assert (ca.path, ca.permissions, ca.content) == (
        "/etc/kubernetes/pki/ca.crt",
        0o640,
        b"-----BEGIN CERTIFICATE-----\n",
    )
    assert motd.content == b"hello\n"
    assert b"name: 'team-a-cp-1.novalocal'" in kubeadm.content
    assert b"openstack:///11111111-2222-3333-4444-555555555555" in kubeadm.content
    assert cloudinit.kubeadm_command(config) == KubeadmCommand("init", "/run/kubeadm/kubeadm.yaml")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("local_hostname", "team-a-cp-1"),
        ("v1.local_hostname", "team-a-cp-1"),
        ("v1.instance_id", "11111111-2222-3333-4444-555555555555"),
        ("ds.meta_data.availability_zone", "az-1"),
        ("ds.meta_data.hostname", "team-a-cp-1.novalocal"),
        ("v1.availability_zone", "az-1"),
        ("no_such_variable", "CI_MISSING_JINJA_VAR/no_such_variable"),
        ("ds.no.such", "CI_MISSING_JINJA_VAR/no.such"),
    ],
)
def test_what_templates_can_ask(expression: str, value: str) -> None:
    text = f"## template: jinja\n#cloud-config\nruncmd: ['{{{{ {expression} }}}}']\n"
    assert cloudinit.parse(encoded(text), INSTANCE).commands == (value,)


def test_without_the_header_braces_are_text() -> None:
    config = cloudinit.parse(encoded("#cloud-config\nruncmd: ['{{ local_hostname }}']\n"), INSTANCE)
    assert config.commands == ("{{ local_hostname }}",)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("kubeadm join --config /a.yaml --v=5", KubeadmCommand("join", "/a.yaml")),
        ("kubeadm join --config=/a.yaml", KubeadmCommand("join", "/a.yaml")),
        ("sudo kubeadm init --v 2 --config /b.yaml && touch /done", KubeadmCommand("init", "/b.yaml")),
    ],
)
def test_finding_kubeadm(command: str, expected: KubeadmCommand) -> None:
    config = cloudinit.CloudConfig((), ("kubeadm version", command))
    assert cloudinit.kubeadm_command(config) == expected


def test_a_command_as_a_list_of_words() -> None:
    config = cloudinit.parse(encoded("#cloud-config\nruncmd:\n- [kubeadm, join, --config, /a.yaml]\n"), INSTANCE)
    assert cloudinit.kubeadm_command(config) == KubeadmCommand("join", "/a.yaml")


BROKEN = {
    "no user data": ("", "no user data"),
    "not base64": ("%%%", "not base64"),
    "cut gzip": (base64.b64encode(gzip.compress(b"#cloud-config\n" * 99)[:30]).decode(), "broken gzip"),
    "not UTF-8": (base64.b64encode(b"\xff\xfe#cloud-config").decode(), "not UTF-8"),
    "a script": (encoded("#!/bin/sh\nkubeadm join\n"), "no #cloud-config"),
    "a header too late": (encoded("\nwrite_files: []\n#cloud-config\n"), "no #cloud-config"),
    "jinja that does not parse": (encoded("## template: jinja\n#cloud-config\na: {{ b\n"), "jinja"),
    "jinja that fails": (encoded("## template: jinja\n#cloud-config\na: {{ 1 / 0 }}\n"), "jinja"),
    "YAML that does not parse": (encoded("#cloud-config\nwrite_files:\n  - path: [\n"), "failed loading yaml"),
    "a tab": (encoded("#cloud-config\nruncmd:\n\t- a\n"), "failed loading yaml"),
    "a list at the top": (encoded("#cloud-config\n- a\n"), "not a mapping"),
    "files that are no list": (encoded("#cloud-config\nwrite_files: {path: /a}\n"), "not a list"),
    "a file without a path": (encoded("#cloud-config\nwrite_files: [{content: a}]\n"), "no path"),
    "a relative path": (encoded("#cloud-config\nwrite_files: [{path: a}]\n"), "not absolute"),
    "an unknown encoding": (
        encoded("#cloud-config\nwrite_files: [{path: /a, encoding: rot13, content: a}]\n"),
        "unknown encoding 'rot13'",
    ),
    "content that is not what it says": (
        encoded("#cloud-config\nwrite_files: [{path: /a, encoding: gz+b64, content: YQ==}]\n"),
        "is not gz\\+b64",
    ),
    "content cut in base64": (
        encoded("#cloud-config\nwrite_files: [{path: /a, encoding: b64, content: YQ}]\n"),
        "is not b64",
    ),
    "permissions in words": (
        encoded("#cloud-config\nwrite_files: [{path: /a, permissions: rw}]\n"),
        "not octal",
    ),
    "a command that is a mapping": (encoded("#cloud-config\nruncmd: [{a: b}]\n"), r"runcmd\[0\]"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_user_data_says_why(name: str) -> None:
    user_data, reason = BROKEN[name]
    with pytest.raises(UserDataError, match=reason):
        cloudinit.parse(user_data, INSTANCE)


@pytest.mark.parametrize(
    "commands",
    [(), ("kubeadm version",), ("kubeadm join",), ("kubeadm join --config",), ("kubeadm reset --config /a",)],
)
def test_no_kubeadm_command(commands: tuple[str, ...]) -> None:
    with pytest.raises(UserDataError, match="no command runs"):
        cloudinit.kubeadm_command(cloudinit.CloudConfig((), commands))


def test_a_quote_that_does_not_end() -> None:
    with pytest.raises(UserDataError, match="sh cannot read"):
        cloudinit.kubeadm_command(cloudinit.CloudConfig((), ("kubeadm join --config '/a",)))
