"""Kinds of sources: S3 and what speaks like it, Cloud Storage, files of web servers, Hugging Face."""
