"""Pods that simply have credentials: what a Pod and its ServiceAccount ask for, and the JSON Patch that gives it."""
