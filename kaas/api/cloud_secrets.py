"""Names of Secrets with cloud credentials, and where Pods have them: types, keys, paths, volumes. Pure."""

from __future__ import annotations

from typing import Final

from kaas.api.constants import GROUP

AWS_TYPE: Final = f"{GROUP}/aws-credentials"
GCP_TYPE: Final = f"{GROUP}/gcp-credentials"
TYPES: Final = (AWS_TYPE, GCP_TYPE)

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

AWS_VOLUME: Final = f"{VOLUME_PREFIX}aws"
GCP_VOLUME: Final = f"{VOLUME_PREFIX}gcp"
TOKEN_VOLUME: Final = f"{VOLUME_PREFIX}token"
AWS_TOKEN_FILE: Final = "aws"  # noqa: S105 - the name of a file
"""The token for AWS, under TOKEN_MOUNT. The one for GCP lies there too, where the configuration in the Secret says."""
