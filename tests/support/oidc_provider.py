"""An identity provider for tests: OpenID Connect's code flow with PKCE, signed by a key of its own.

Whoever names themselves is believed; `groups` are those that the test gave that name.
"""

from __future__ import annotations

import hashlib
import html
import secrets
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.support.http import http_status
from tests.support.waiting import wait_until

CLIENT_ID: Final = "switchboard"
CLIENT_SECRET: Final = "the-secret-of-the-client"


class OidcProvider:
    """Listens on loopback; `issuer` is its address."""

    def __init__(self, port: int, groups: Mapping[str, tuple[str, ...]]) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.metadata_url = f"{self.issuer}/.well-known/openid-configuration"
        self._groups = groups
        self._key = RSAKey.generate_key(2048, parameters={"kid": "one"})
        self._codes: dict[str, dict[str, str]] = {}
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._configuration),
                Route("/keys", self._keys),
                Route("/authorize", self._form),
                Route("/grant", self._grant),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    async def _configuration(self, _: Request) -> Response:
        at = self.issuer
        return JSONResponse(
            {
                "issuer": at,
                "authorization_endpoint": f"{at}/authorize",
                "token_endpoint": f"{at}/token",
                "jwks_uri": f"{at}/keys",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    async def _keys(self, _: Request) -> Response:
        return JSONResponse({"keys": [self._key.as_dict(private=False)]})

    async def _form(self, request: Request) -> Response:
        hidden = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in request.query_params.items()
        )
        return HTMLResponse(
            f"<form action='/grant'>{hidden}<label>E-mail <input name='email'></label>"
            "<button>Continue</button></form>"
        )

    async def _grant(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert asked["client_id"] == CLIENT_ID
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        back = urlencode({"code": code, "state": asked["state"]})
        return RedirectResponse(f"{asked['redirect_uri']}?{back}", status_code=303)

    async def _token(self, request: Request) -> Response:
        form = await request.form()
        asked = self._codes.pop(str(form["code"]), None)
        if asked is None or not _proven(asked, str(form.get("code_verifier", ""))):
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": f"sub-{asked['email']}",
            "email": asked["email"],
            "email_verified": not asked["email"].endswith("@typed.example"),
            "groups": list(self._groups.get(asked["email"], ())),
            "iat": now,
            "exp": now + 600,
        }
        if "nonce" in asked:
            claims["nonce"] = asked["nonce"]
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self._key)
        return JSONResponse(
            {
                "access_token": secrets.token_urlsafe(16),
                "token_type": "Bearer",
                "expires_in": 600,
                "id_token": token,
            }
        )


def _proven(asked: Mapping[str, str], verifier: str) -> bool:
    if "code_challenge" not in asked:
        return True
    digest = hashlib.sha256(verifier.encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]


@contextmanager
def open_oidc_provider(port: int, groups: Mapping[str, tuple[str, ...]]) -> Iterator[OidcProvider]:
    """Until the end of the block."""
    provider = OidcProvider(port, groups)
    config = uvicorn.Config(provider.app, port=port, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    os_thread = threading.Thread(target=server.run)
    os_thread.start()
    try:
        wait_until(
            lambda: http_status(provider.metadata_url) == 200, within_s=10, ignoring=(OSError,)
        )
        yield provider
    finally:
        server.should_exit = True
        os_thread.join(timeout=10)
