"""The serving side of TLS: one context whose certificate changes while it serves."""

from __future__ import annotations

import ssl
from asyncio import sslproto
from datetime import datetime

from kaas.admission.certificates import Pair
from kaas.admission.files import in_memory

# Bytes that asyncio sets aside for each connection; its own 256 KiB are a megabyte for each four of an API server.
# A larger review is read in several pieces.
sslproto.SSLProtocol.max_size = 32 * 1024


class Tls:
    """TLS 1.3 and nothing older. `context` serves the certificate that was loaded last.

    A handshake that is under way and a connection that stands keep what they began with, so a change costs no request.
    """

    def __init__(self) -> None:
        self.context = _context()
        self.expires: datetime | None = None
        """When the certificate ends; None while none is loaded, and every handshake fails."""
        self._loaded: Pair | None = None

    def load(self, leaf: Pair) -> bool:
        """Serve with this certificate from now on; whether that is a change. ValueError when it cannot be served."""
        if leaf == self._loaded:
            return False
        expires = leaf.parsed.not_valid_after_utc
        for context in (_context(), self.context):  # on trial first: a half-loaded one would serve nobody
            with in_memory(leaf.certificate) as certificate, in_memory(leaf.key) as key:
                try:
                    context.load_cert_chain(certificate, key)
                except ssl.SSLError as error:
                    raise ValueError(f"certificate and key cannot be served: {error.reason}") from error
        self._loaded, self.expires = leaf, expires
        return True


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # API servers keep their connections: tickets would only be two more messages at each handshake.
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    return context
