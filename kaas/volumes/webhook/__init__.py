"""The webhook of Pods and claims: small, many replicas, on `kaas.admission`."""
