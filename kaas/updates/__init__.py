"""Updates: which version a Cluster is brought to, and when."""
