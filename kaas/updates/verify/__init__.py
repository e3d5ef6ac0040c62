"""Whether a Cluster is well after a step of an update, and how its API server answers all the while."""
