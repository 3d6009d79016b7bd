"""The console's application: everything behind one gate."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from secmon import __version__
from secmon.config import Config
from secmon.console import problems
from secmon.console.api import API
from secmon.console.context import Console, Exposition, Guides, RulesHolder
from secmon.console.entrance import ENTRANCE
from secmon.console.gate import Gate
from secmon.console.pages import PAGES
from secmon.console.service import SERVICE
from secmon.store.database import Database

_MAX_BODY_BYTES = 16 * 1024


def console_app(
    database: Database,
    config: Config,
    rules_holder: RulesHolder,
    guides: Callable[[], Guides],
    exposition: Exposition,
    clock: Callable[[], datetime],
    *,
    trouble: Callable[[], str] = str,
) -> Litestar:
    """The application, to be served without proxy headers and without an access log (sign-in links are secrets)."""
    console = Console(
        database=database,
        config=config,
        rules=rules_holder,
        guides=guides,
        exposition=exposition,
        clock=clock,
        trouble=trouble,
    )

    def answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        return problems.answer(console, request, error)

    app = Litestar(
        route_handlers=[*PAGES, *API, *SERVICE, *ENTRANCE],
        dependencies={"console": Provide(lambda: console, use_cache=True, sync_to_thread=False)},
        exception_handlers={Exception: answer},
        openapi_config=OpenAPIConfig(
            title="secmon",
            version=__version__,
            description="What the console shows, for programs. Needs a signed-in session.",
            path="/api",
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        ),
        logging_config=None,
        request_max_body_size=_MAX_BODY_BYTES,
        debug=False,
    )
    app.asgi_handler = Gate(app.asgi_handler, console)
    return app
