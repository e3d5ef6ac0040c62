"""The ledger of one update: fixed steps, gone through in order, written down in the status of the Cluster."""
