"""Loads objects of a bucket into a directory: fast, checked, and again from where it was when it was cut off."""
