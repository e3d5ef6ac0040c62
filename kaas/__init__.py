"""Kubernetes as a Service for OpenStack clouds with GPU nodes, on Cluster API."""
