"""Names that users of the feature write: Secret types and keys, annotations, paths inside a Pod."""

from __future__ import annotations

from typing import Final

from kaas.api.constants import GROUP

AWS_TYPE: Final = f"{GROUP}/aws-credentials"
GCP_TYPE: Final = f"{GROUP}/gcp-credentials"
TYPES: Final = (AWS_TYPE, GCP_TYPE)

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

# Keys of the Secrets: spelled as the environment variables that they become, so that plain envFrom works as well.
AWS_ACCESS_KEY_ID: Final = "AWS_ACCESS_KEY_ID"
AWS_SECRET_ACCESS_KEY: Final = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - the name of a key, no password
AWS_SESSION_TOKEN: Final = "AWS_SESSION_TOKEN"  # noqa: S105
AWS_REGION: Final = "AWS_REGION"
AWS_ENDPOINT_URL: Final = "AWS_ENDPOINT_URL"
AWS_ENDPOINT_URL_S3: Final = "AWS_ENDPOINT_URL_S3"
AWS_CA: Final = "ca.crt"
AWS_ROLE_ARN: Final = "AWS_ROLE_ARN"
"""Keyless: the role that the Pod's ServiceAccount token is exchanged for, in place of the two keys."""
GCP_FILE: Final = "credentials.json"
GCP_PROJECT: Final = "project_id"

MOUNT_ROOT: Final = f"/var/run/secrets/{GROUP}"
AWS_MOUNT: Final = f"{MOUNT_ROOT}/aws"
GCP_MOUNT: Final = f"{MOUNT_ROOT}/gcp"
TOKEN_MOUNT: Final = f"{MOUNT_ROOT}/token"
VOLUME_PREFIX: Final = "kaas-internal-"
"""Volumes of these names are ours: `kaas-internal-aws`, `kaas-internal-gcp`, `kaas-internal-token`."""

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

AWS_VOLUME: Final = f"{VOLUME_PREFIX}aws"
GCP_VOLUME: Final = f"{VOLUME_PREFIX}gcp"
TOKEN_VOLUME: Final = f"{VOLUME_PREFIX}token"
AWS_TOKEN_FILE: Final = "aws"  # noqa: S105 - the name of a file
"""The token for AWS, under TOKEN_MOUNT. The one for GCP lies there too, where the configuration in the Secret says."""
