"""`kaas credential-webhook`: the reviews over HTTPS, with certificates of its own making."""
