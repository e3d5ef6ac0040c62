"""PersistentVolumeClaims that are filled from a bucket, and Pods that wait for it."""
