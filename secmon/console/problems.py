"""What goes wrong, told to programs (RFC 9457) and to people (a page)."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException
from sqlalchemy.exc import SQLAlchemyError

from secmon.console.context import Console, language_of
from secmon.console.render import HTML, page
from secmon.store.database import is_unavailable
from secmon_agent.wire import PROBLEM_CONTENT_TYPE, Problem

logger = logging.getLogger("secmon.console")

_FOR_PROGRAMS = ("/api", "/metrics", "/healthz")


def for_programs(path: str) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in _FOR_PROGRAMS)


def problem(status: int, detail: str = "") -> bytes:
    return msgspec.json.encode(
        Problem(type="about:blank", title=HTTPStatus(status).phrase, status=status, detail=detail)
    )


def problem_response(status: int, detail: str = "") -> Response[bytes]:
    return Response(problem(status, detail), status_code=status, media_type=PROBLEM_CONTENT_TYPE)


def answer(console: Console, request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Exception handler of the whole application."""
    status, detail = _told(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("%s %r failed", request.method, _path(request.url.path), exc_info=error)
    if for_programs(request.url.path):
        return problem_response(status, detail)
    body = page(console, language_of(request, console.config), "error.html", status=status)
    return Response(body, status_code=status, media_type=HTML)


def _told(error: Exception) -> tuple[int, str]:
    if isinstance(error, HTTPException):
        return error.status_code, error.detail if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR else ""
    if isinstance(error, (SQLAlchemyError, OSError)) and is_unavailable(error):
        return HTTPStatus.SERVICE_UNAVAILABLE, "the database cannot be read at the moment"
    return HTTPStatus.INTERNAL_SERVER_ERROR, ""


def _path(path: str) -> str:
    """A sign-in link is a secret and does not belong into a log."""
    return "/sign-in/…" if path.startswith("/sign-in/") else path
