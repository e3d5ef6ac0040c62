"""The kinds of the management cluster: models, their rules, and the CRDs generated from them."""
