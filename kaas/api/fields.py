"""Types of fields that several kinds use, each with its rule."""

from __future__ import annotations

import ipaddress
import re
from functools import cache
from typing import Annotated, Any, Final

from pydantic import Field

from kaas.api.constants import GROUP
from kaas.api.rules import Rule

# k8s.io/apimachinery/pkg/util/validation: qualified names and label values.
_NAME: Final = r"([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]"
_DOMAIN: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_MAX_DOMAIN: Final = 253
_QUALIFIED: Final = re.compile(rf"(?:(?P<domain>{_DOMAIN})/)?{_NAME}")
_LABEL_VALUE: Final = re.compile(rf"(?:{_NAME})?")

_GROUP: Final = re.escape(GROUP)
# A kubelet refuses to start with labels of kubernetes.io and k8s.io outside kubelet.kubernetes.io and
# node.kubernetes.io (cmd/kubelet/app/options), and NodeRestriction refuses to admit them (plugin/pkg/admission).
# The few others that it does take (hostname, os, arch, zone, region) belong to one machine and not to a pool.
# Labels of Cluster API steer Cluster API itself.
_RESERVED_LABELS: Final = rf"^([^/]*[.])?(kubernetes[.]io|k8s[.]io|cluster[.]x-k8s[.]io|{_GROUP})/"
_KUBELET_LABELS: Final = r"^([^/]*[.])?(node|kubelet)[.]kubernetes[.]io/"
# Taints of Cluster API's and the cloud provider's start-up, of the node life cycle controller and of roles.
_RESERVED_TAINTS: Final = (
    rf"^(node[.]cluster[.]x-k8s[.]io|node[.]kubernetes[.]io|node[.]cloudprovider[.]kubernetes[.]io"
    rf"|node-role[.]kubernetes[.]io|([^/]*[.])?{_GROUP})/"
)


def quoted(pattern: str) -> str:
    """A regular expression as a CEL string."""
    return "'" + pattern.replace("\\", "\\\\") + "'"


@cache
def pattern_rule(pattern: str, message: str) -> Rule:
    """The whole text must match a regular expression that RE2 and Python read alike.

    A rule and not the schema's `pattern`, whose refusal would quote the expression and no way out.
    """
    compiled = re.compile(pattern)
    return Rule(
        cel=f"self.matches({quoted(f'^(?:{pattern})$')})",
        message=message,
        check=lambda text: compiled.fullmatch(text) is not None,
    )


def is_qualified_name(text: str) -> bool:
    """Whether Kubernetes takes it as the key of a label or taint: `name` or `domain/name`."""
    match = _QUALIFIED.fullmatch(text)
    return match is not None and len(match["domain"] or "") <= _MAX_DOMAIN


def is_label_value(text: str) -> bool:
    """Whether Kubernetes takes it as the value of a label or taint; may be empty."""
    return _LABEL_VALUE.fullmatch(text) is not None


def is_pool_label(key: str) -> bool:
    """Whether nodes of a pool may carry the label: see the reasons at `_RESERVED_LABELS`."""
    return not re.match(_RESERVED_LABELS, key) or re.match(_KUBELET_LABELS, key) is not None


def _is_address(text: str) -> bool:
    try:
        return str(ipaddress.ip_address(text)) == text
    except ValueError:
        return False


DNS_LABEL: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"

KEY_RULE: Final = Rule(
    cel="!format.qualifiedName().validate(self).hasValue()",
    message="key must be a name of at most 63 letters, digits, '-', '_' or '.', or a DNS domain, '/' and such a name",
    check=is_qualified_name,
)
VALUE_RULE: Final = Rule(
    cel="!format.labelValue().validate(self).hasValue()",
    message="value must have at most 63 letters, digits, '-', '_' or '.', and begin and end with a letter or digit",
    check=is_label_value,
)
TAINT_KEY_RULE: Final = Rule(
    cel=f"!self.matches({quoted(_RESERVED_TAINTS)})",
    message="key is reserved for Kubernetes, Cluster API or kaas: use a domain of your own, as example.com/dedicated",
    check=lambda key: re.match(_RESERVED_TAINTS, key) is None,
)
LABEL_RULES: Final = (
    Rule(
        cel="self.all(k, !format.qualifiedName().validate(k).hasValue())",
        message="labels: each key must be a name of at most 63 letters, digits, '-', '_' or '.', "
        "or a DNS domain, '/' and such a name",
        check=lambda labels: all(map(is_qualified_name, labels)),
    ),
    Rule(
        cel=f"self.all(k, !k.matches({quoted(_RESERVED_LABELS)}) || k.matches({quoted(_KUBELET_LABELS)}))",
        message=f"labels: keys in kubernetes.io, k8s.io, cluster.x-k8s.io and {GROUP} are reserved, a kubelet with one "
        "would not join: use a domain of your own, or node.kubernetes.io/",
        check=lambda labels: all(map(is_pool_label, labels)),
    ),
)

Zone = Annotated[
    str,
    Field(min_length=1, max_length=63),
    pattern_rule(
        r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?",
        "zone must have only letters, digits, '-', '_' and '.', as az-1: use one of the Site's",
    ),
]
FlavorName = Annotated[str, Field(min_length=1, max_length=255)]
ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    pattern_rule(_DOMAIN, "must be the name of an object: lower-case letters, digits, '-' and '.'"),
]
SecretName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    pattern_rule(_DOMAIN, "name must be the name of a Secret: lower-case letters, digits, '-' and '.'"),
]
NamespaceName = Annotated[
    str,
    Field(min_length=1, max_length=63),
    pattern_rule(DNS_LABEL, "namespace must have only lower-case letters, digits and '-'"),
]
SiteName = Annotated[
    str,
    Field(min_length=1, max_length=63),
    pattern_rule(DNS_LABEL, "must be the name of a Site: lower-case letters, digits and '-' (see `kubectl get sites`)"),
]
Address = Annotated[
    str,
    Field(max_length=39),
    Rule(
        cel="isIP(self) && ip.isCanonical(self)",
        message="must be an IP address without leading zeros, as 10.0.0.53 or 2001:db8::35",
        check=_is_address,
    ),
]
LabelValue = Annotated[str, Field(max_length=63), VALUE_RULE]
LabelKey = Annotated[str, Field(min_length=1, max_length=317), KEY_RULE]
Labels = Annotated[dict[str, LabelValue], Field(max_length=32), *LABEL_RULES]


def canonical_network(text: Any) -> ipaddress.IPv4Network | None:
    """The IPv4 network of a CIDR that is written canonically, else None."""
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError:
        return None
    return network if str(network) == text else None
