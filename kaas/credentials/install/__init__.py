"""What installs the webhook: the manifests of `deploy/credentials` with values. The server needs none of it."""
