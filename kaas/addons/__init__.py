"""Puts add-ons into Clusters and keeps them there."""
