"""Typed Secrets with cloud credentials, and Pods that simply have them. Installs alone on any cluster."""
