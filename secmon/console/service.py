"""What Prometheus and a supervisor ask for."""

from __future__ import annotations

import msgspec
from litestar import Response, get

from secmon.console.context import Given, HttpRequest
from secmon.rejudging import waiting


@get("/metrics", include_in_schema=False, sync_to_thread=True)
def metrics(request: HttpRequest, console: Given) -> Response[bytes]:
    body, content_type = console.exposition.render(request.headers.get("accept", ""))
    return Response(body, headers={"content-type": content_type})  # as it is: another charset is not added


@get("/healthz", include_in_schema=False, sync_to_thread=True)
def health(console: Given) -> Response[bytes]:
    """200 while the database answers; `rules` tells of rules that were not taken, `own_rules` of what the office's own
    folder says in vain, `waiting` how many machines are still to be judged by the rules that were taken."""
    with console.database.read() as connection:
        left = waiting(connection, console.rules.current)
    misfits = [str(misfit) for misfit in console.rules.current.misfits]
    body = {"status": "ok", "rules": console.trouble() or "ok", "own_rules": misfits or "ok", "waiting": left}
    return Response(msgspec.json.encode(body), media_type="application/json")


SERVICE = [metrics, health]
