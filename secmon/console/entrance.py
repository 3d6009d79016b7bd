"""Signing in and out, and the style sheet: what is served without a session."""

from __future__ import annotations

from typing import Final

from litestar import Response, get, post, route
from litestar.datastructures import Cookie
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.status_codes import HTTP_303_SEE_OTHER

from secmon.console import render, sign_in
from secmon.console.context import Console, Given, HttpRequest, language_of
from secmon.console.gate import SESSION_COOKIE
from secmon.console.pages import html

_FOR_EVER: Final = {"cache-control": "public, max-age=31536000, immutable"}


@route("/sign-in/{secret:str}", http_method=["GET", "POST"], include_in_schema=False, sync_to_thread=True)
def link(request: HttpRequest, console: Given, secret: FromPath[str]) -> Response[bytes] | Redirect:
    """Looking at the link shows a button; pressing that uses it up. It leads whom it let in to the pages again."""
    if request.method == "POST":
        return _use_link(request, console, secret)
    language = language_of(request, console.config)
    if sign_in.usable_link(console.database, secret, console.clock()):
        return html(render.page(console, language, "sign_in.html"))
    if sign_in.valid_session(console.database, request.cookies.get(SESSION_COOKIE, ""), console.clock()):
        return Redirect("/", status_code=HTTP_303_SEE_OTHER)
    return html(render.page(console, language, "link_gone.html"), 401)


def _use_link(request: HttpRequest, console: Console, secret: str) -> Response[bytes] | Redirect:
    address = request.client.host if request.client else ""
    session = sign_in.open_session(console.database, secret, console.clock(), address)
    if session is None:
        return html(render.page(console, language_of(request, console.config), "link_gone.html"), 401)
    return Redirect("/", status_code=HTTP_303_SEE_OTHER, cookies=[_cookie(request, session)])


@post("/sign-out", include_in_schema=False, sync_to_thread=True)
def sign_out(request: HttpRequest, console: Given) -> Redirect:
    sign_in.close_session(console.database, request.cookies.get(SESSION_COOKIE, ""), console.clock())
    gone = _cookie(request, "", max_age=0)
    return Redirect("/", status_code=HTTP_303_SEE_OTHER, cookies=[gone])


def _cookie(request: HttpRequest, value: str, max_age: int = int(sign_in.SESSION_LIFETIME.total_seconds())) -> Cookie:
    return Cookie(
        key=SESSION_COOKIE,
        value=value,
        path="/",
        max_age=max_age,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


@get("/static/{name:str}", include_in_schema=False, sync_to_thread=False)
def static(name: FromPath[str]) -> Response[bytes]:
    if f"/static/{name}" == render.style_name():
        return Response(render.style(), media_type="text/css; charset=utf-8", headers=_FOR_EVER)
    if name == "mark.svg":
        return Response(render.mark(), media_type="image/svg+xml", headers={"cache-control": "public, max-age=86400"})
    raise NotFoundException(detail="no such file")


ENTRANCE = [link, sign_out, static]
