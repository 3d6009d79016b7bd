"""The one door: every request passes here before any page sees it."""

from __future__ import annotations

import hmac
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, urlencode

import anyio.to_thread
from litestar import Request
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.response.base import ASGIResponse
from sqlalchemy.exc import SQLAlchemyError

from secmon.console import origin, sign_in
from secmon.console.context import LANGUAGE_COOKIE, Console, HttpRequest, language_of
from secmon.console.problems import for_programs, logger, problem
from secmon.console.render import HTML, page
from secmon_agent.wire import PROBLEM_CONTENT_TYPE

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

SESSION_COOKIE: Final = "secmon_session"
_LANGUAGE_LIFETIME_S: Final = 365 * 86_400

SECURITY_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_OPEN: Final = ("/static/", "/sign-in/")
_MACHINES: Final = ("/metrics", "/healthz")


class Gate:
    """Host name, then session or token; adds the security headers to whatever is answered."""

    def __init__(self, app: ASGIApp, console: Console) -> None:
        self.app = app
        self.console = console
        self.names = origin.names_of(console.config)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        request: HttpRequest = Request(scope, receive, send)
        refusal = await self._refusal(scope, request)
        await (refusal or self.app)(scope, receive, _with_headers(send))

    async def _refusal(self, scope: Scope, request: HttpRequest) -> ASGIResponse | None:
        path = scope["path"]
        if not origin.is_ours(request.headers.get("host", ""), self.names):
            return self._refuse(request, HTTPStatus.MISDIRECTED_REQUEST, "this console is not called by that name")
        if path in _MACHINES:
            return None if self._may_scrape(scope, request) else self._unauthorized_program(path)
        switch = _language_switch(scope, request)
        if switch is not None or path.startswith(_OPEN):
            return switch
        try:
            valid = await anyio.to_thread.run_sync(self._has_session, request.cookies.get(SESSION_COOKIE, ""))
        except (SQLAlchemyError, OSError):
            logger.exception("a session could not be looked up")
            return self._refuse(request, HTTPStatus.SERVICE_UNAVAILABLE, "the database cannot be read at the moment")
        return (
            None if valid else self._refuse(request, HTTPStatus.UNAUTHORIZED, "sign in: secmon sign-in prints a link")
        )

    def _has_session(self, secret: str) -> bool:
        return sign_in.valid_session(self.console.database, secret, self.console.clock())

    def _may_scrape(self, scope: Scope, request: HttpRequest) -> bool:
        if origin.from_loopback(scope, request.headers):
            return True
        token = self.console.config.console.metrics_token
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(given.strip().encode(), token.encode())
        return bool(token) and scheme.lower() == "bearer" and same

    def _unauthorized_program(self, path: str) -> ASGIResponse:
        detail = f"{path} needs the bearer token console.metrics_token from beyond this machine"
        return _plain(HTTPStatus.UNAUTHORIZED, problem(HTTPStatus.UNAUTHORIZED, detail), PROBLEM_CONTENT_TYPE)

    def _refuse(self, request: HttpRequest, status: HTTPStatus, detail: str) -> ASGIResponse:
        if for_programs(request.url.path):
            return _plain(status, problem(status, detail), PROBLEM_CONTENT_TYPE)
        template = "signed_out.html" if status == HTTPStatus.UNAUTHORIZED else "error.html"
        language = language_of(request, self.console.config)
        return _plain(status, page(self.console, language, template, status=int(status)), HTML)


def _plain(status: HTTPStatus, body: bytes, media_type: str) -> ASGIResponse:
    headers = {"www-authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    return ASGIResponse(body=body, status_code=status, media_type=media_type, headers=headers)


def _language_switch(scope: Scope, request: HttpRequest) -> ASGIResponse | None:
    """`?lang=en` is remembered in a cookie, and the same page is shown without it."""
    if request.method != "GET" or for_programs(scope["path"]):
        return None
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    chosen = next((value for name, value in pairs if name == "lang" and value in ("ja", "en")), None)
    if chosen is None:
        return None
    rest = urlencode([(name, value) for name, value in pairs if name != "lang"])
    target = quote("/" + scope["path"].lstrip("/")) + (f"?{rest}" if rest else "")
    secure = "; Secure" if scope["scheme"] == "https" else ""
    cookie = f"{LANGUAGE_COOKIE}={chosen}; Path=/; Max-Age={_LANGUAGE_LIFETIME_S}; SameSite=Strict; HttpOnly{secure}"
    return ASGIResponse(status_code=HTTPStatus.SEE_OTHER, headers={"location": target, "set-cookie": cookie})


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableScopeHeaders.from_message(message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return sending
