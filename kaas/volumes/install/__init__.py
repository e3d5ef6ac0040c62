"""Manifests of controller and webhook: rendering, and the values that an administrator may choose."""
