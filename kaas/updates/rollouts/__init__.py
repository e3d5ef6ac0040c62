"""A change going through a fleet: which Cluster's turn it is, in stages, with limits, soaks and gates."""
