"""The cluster's issuer of ServiceAccount tokens, whose public key clouds know."""

from __future__ import annotations

import time
from typing import Any, cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt

URL = "https://issuer.kaas.internal"


class Refused(ValueError):
    """A token is not what a cloud takes."""


def private_key() -> bytes:
    """A new RSA key, in PKCS#8 as Google's key files have it."""
    form = serialization.PrivateFormat.PKCS8
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def public_key(private: bytes) -> bytes:
    """The public part of a key, both as PEM."""
    key = serialization.load_pem_private_key(private, None).public_key()
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def verified(token: str, key: bytes, audience: str) -> dict[str, Any]:
    """Claims of a token whose signature, time and audience are right. Raises Refused."""
    try:
        return dict(jwt.decode(token, key, audience=audience))  # type: ignore[no-untyped-call]
    except ValueError as error:
        raise Refused(str(error)) from error


class Issuer:
    """Signs tokens, and says whether one is from here."""

    def __init__(self) -> None:
        private = private_key()
        self._signer: Any = crypt.RSASigner.from_string(private)  # type: ignore[no-untyped-call]
        self._public = public_key(private)

    def token(self, account: str, audience: str, seconds: int) -> str:
        """A token of a ServiceAccount, given as `namespace:name`."""
        now = int(time.time())
        claims = {"iss": URL, "sub": f"system:serviceaccount:{account}", "aud": audience}
        lasting = {**claims, "iat": now, "exp": now + seconds}
        return cast("bytes", jwt.encode(self._signer, lasting)).decode()  # type: ignore[no-untyped-call]

    def account(self, token: str, audience: str) -> str:
        """Whose token it is, as `namespace:name`. Raises Refused."""
        claims = verified(token, self._public, audience)
        if claims["iss"] != URL:
            raise Refused(f"issuer {claims['iss']}")
        return str(claims["sub"]).removeprefix("system:serviceaccount:")
