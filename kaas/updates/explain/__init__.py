"""Why has this Cluster not been updated? An answer from what the planner decides and what the status tells."""
