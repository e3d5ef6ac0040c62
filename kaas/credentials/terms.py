"""Names that users of the feature write: Secret types and keys, annotations, paths inside a Pod."""

from __future__ import annotations

from typing import Final

from kaas.api.cloud_secrets import (
    AWS_ACCESS_KEY_ID,
    AWS_CA,
    AWS_ENDPOINT_URL,
    AWS_ENDPOINT_URL_S3,
    AWS_MOUNT,
    AWS_REGION,
    AWS_ROLE_ARN,
    AWS_SECRET_ACCESS_KEY,
    AWS_SESSION_TOKEN,
    AWS_TOKEN_FILE,
    AWS_TYPE,
    AWS_VOLUME,
    GCP_FILE,
    GCP_MOUNT,
    GCP_PROJECT,
    GCP_TYPE,
    GCP_VOLUME,
    MOUNT_ROOT,
    TOKEN_MOUNT,
    TOKEN_VOLUME,
    TYPES,
    VOLUME_PREFIX,
)
from kaas.api.constants import GROUP

__all__ = (
    "AWS_ACCESS_KEY_ID",
    "AWS_ANNOTATION",
    "AWS_CA",
    "AWS_CONFIG_ANNOTATION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_MODE_ANNOTATION",
    "AWS_MOUNT",
    "AWS_PROCESS_ANNOTATION",
    "AWS_REGION",
    "AWS_REGION_ANNOTATION",
    "AWS_ROLE_ANNOTATION",
    "AWS_ROLE_ARN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_TOKEN_FILE",
    "AWS_TYPE",
    "AWS_VOLUME",
    "CONTAINERS_ANNOTATION",
    "GCP_ANNOTATION",
    "GCP_FILE",
    "GCP_MOUNT",
    "GCP_PROJECT",
    "GCP_TYPE",
    "GCP_VOLUME",
    "INJECTED_ANNOTATION",
    "MOUNT_ROOT",
    "NONE",
    "SEEN_ANNOTATION",
    "SKIP_CONTAINERS_ANNOTATION",
    "TOKEN_EXPIRATION_ANNOTATION",
    "TOKEN_MOUNT",
    "TOKEN_VOLUME",
    "TYPES",
    "VOLUME_PREFIX",
)

AWS_ANNOTATION: Final = AWS_TYPE
"""On a Pod or its ServiceAccount: name of a Secret of this type in its namespace; `none` on the Pod switches it off."""
GCP_ANNOTATION: Final = GCP_TYPE
CONTAINERS_ANNOTATION: Final = f"{GROUP}/containers"
"""Only these containers, separated by commas."""
SKIP_CONTAINERS_ANNOTATION: Final = f"{GROUP}/skip-containers"
"""All but these containers, separated by commas."""
INJECTED_ANNOTATION: Final = f"{GROUP}/injected"
"""Marker on a Pod that was changed: which Secrets, by provider. Never a value."""
SEEN_ANNOTATION: Final = f"{GROUP}/containers-seen"
"""Mark on every Pod that the webhook has answered: for how many containers, init containers included."""
NONE: Final = "none"

# How Pods get them; on a Pod or its ServiceAccount, and the Pod's word counts where both speak.
AWS_MODE_ANNOTATION: Final = f"{GROUP}/aws-mode"
"""`env` (the default) or `file`: keys that are read anew while the Pod runs."""
AWS_ROLE_ANNOTATION: Final = f"{GROUP}/aws-role-arn"
"""Keyless without a Secret: the role, in place of the annotation that names one."""
AWS_REGION_ANNOTATION: Final = f"{GROUP}/aws-region"
"""Region beside a role that an annotation names."""
TOKEN_EXPIRATION_ANNOTATION: Final = f"{GROUP}/token-expiration"
"""Seconds that a projected ServiceAccount token lives."""
AWS_CONFIG_ANNOTATION: Final = f"{GROUP}/aws-config"
"""Written by the webhook in mode `file`: the AWS configuration file that the Pod sees."""
AWS_PROCESS_ANNOTATION: Final = f"{GROUP}/aws-credential-process"
"""Written by the webhook in mode `file`: the script that the configuration file names."""
