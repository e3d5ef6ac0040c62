"""Cluster to Cluster API: observe, plan, render, status, delete."""
