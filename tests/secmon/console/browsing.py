"""A browser for the console's tests, which asks from an address of the test's choosing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from httpx import Response
from litestar.testing import TestClient

from secmon.config import Config
from secmon.console.app import console_app
from secmon.console.sign_in import new_link
from secmon.evaluate.ruleset import RuleSet
from tests.support.guides import ShippedGuides
from tests.support.office import START, Office

BASE = "http://127.0.0.1"


class Rules:
    def __init__(self, current: RuleSet) -> None:
        self.current = current


class Exposition:
    """Tells back what it was asked for."""

    def render(self, accept: str) -> tuple[bytes, str]:
        return f"# asked for {accept}\n# EOF\n".encode(), "text/plain; version=0.0.4; charset=utf-8"


class Browser:
    """A client of the console. `address` is where its requests come from; `now` is the collector's clock."""

    def __init__(self, office: Office, base_url: str = BASE) -> None:
        self.office = office
        self.now: datetime = START
        self.address = "127.0.0.1"
        self.trouble = ""
        rules = Rules(office.rules)
        app = console_app(
            office.database,
            office.config,
            rules,
            lambda: ShippedGuides(office.rules),
            Exposition(),
            lambda: self.now,
            trouble=lambda: self.trouble,
        )

        async def from_address(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                scope["client"] = (self.address, 50_000)
            await app(scope, receive, send)

        self.client: TestClient[Any] = TestClient(
            from_address, base_url=base_url, raise_server_exceptions=False, cookies={}
        )
        self.client.follow_redirects = False

    def link(self) -> str:
        """Path of a fresh sign-in link."""
        return new_link(self.office.database, self.now, BASE).removeprefix(BASE)

    def sign_in(self) -> Browser:
        assert self.client.post(self.link()).status_code == 303
        return self

    def get(self, path: str, **headers: str) -> Response:
        return self.client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def page(self, path: str) -> str:
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def wait(self, **time: float) -> None:
        self.now += timedelta(**time)


def with_token(config: Config, token: str) -> Config:
    return msgspec.structs.replace(config, console=msgspec.structs.replace(config.console, metrics_token=token))
