"""The pages in a real browser: they load whole, from this console alone."""

from __future__ import annotations

import re
import shutil
import subprocess  # noqa: TID251 — starts the browser
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from litestar import Litestar

from secmon.console.app import console_app
from secmon.console.sign_in import new_link, open_session
from secmon_agent import facts
from tests.support.guides import ShippedGuides
from tests.support.office import START, Office, linux

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
ELSEWHERE = re.compile(r"""<[a-z][^<>]*\s(?:src|href|action|srcset)=["'](?:https?:)?//(?!127\.0\.0\.1)""")


class Rules:
    def __init__(self, office: Office) -> None:
        self.current = office.rules


class NoMetrics:
    def render(self, accept: str) -> tuple[bytes, str]:
        return b"# EOF\n", accept


class Site:
    """The console on a free port. Chromium's command line knows no cookies, so the session is added on the way in."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.session: str | None = None
        self.answers: list[tuple[str, int]] = []
        self._app: Litestar = console_app(
            office.database,
            office.config,
            Rules(office),
            lambda: ShippedGuides(office.rules),
            NoMetrics(),
            lambda: START,
        )
        self._server = uvicorn.Server(
            uvicorn.Config(self._serve, host="127.0.0.1", port=0, log_config=None, access_log=False, interface="asgi3")
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        async def noting(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.answers.append((scope["path"], message["status"]))
            await send(message)

        if scope["type"] == "http" and self.session is not None:
            scope["headers"] = [*scope["headers"], (b"cookie", f"secmon_session={self.session}".encode())]
        await self._app(scope, receive, noting)

    def start(self) -> None:
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.02)
            assert self._thread.is_alive()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def sign_in(self) -> None:
        secret = new_link(self.office.database, START, self.base).rpartition("/")[2]
        self.session = open_session(self.office.database, secret, START)


class Chromium:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.complaints = ""

    def run(self, url: str, *options: str) -> str:
        done = subprocess.run(
            [
                str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--disable-extensions", "--disable-dev-shm-usage", "--enable-logging=stderr", "--lang=ja",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                f"--user-data-dir={self.folder / 'profile'}", *options, url,
            ],
            capture_output=True, text=True, encoding="utf-8", timeout=120, check=True,
        )  # fmt: skip
        self.complaints = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
        return done.stdout

    def dom(self, url: str) -> str:
        return self.run(url, "--dump-dom")

    def picture(self, url: str, width: int) -> bytes:
        file = self.folder / f"{width}.png"
        self.run(url, f"--screenshot={file}", f"--window-size={width},900", "--hide-scrollbars")
        return file.read_bytes()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    office = Office(tmp_path_factory.mktemp("office"))
    port = facts.ListeningPort(protocol="tcp", address="0.0.0.0", port=23, reach="network", process="telnetd")
    bad = office.add_host("sv-bad", zone="lgwan", department="総務課", role="server")
    office.report(bad, linux(ports=facts.Ports(listening=(port,))))
    office.report(office.add_host("pc-good", zone="internet"), linux())
    office.add_host('<img src="http://evil.example/x.png">', zone="lgwan")
    built = Site(office)
    built.start()
    yield built
    built.stop()
    office.database.close()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Chromium:
    return Chromium(tmp_path_factory.mktemp("chromium"))


def test_it_shows_its_pages_without_asking_anybody_else(site: Site, chromium: Chromium) -> None:
    site.sign_in()
    expected = {
        "/": ("北の町役場", "sv-bad", "危険な通信ポートの公開", "LGWAN接続系"),
        "/hosts/sv-bad": ("対応が必要な項目", "tcp/23", "対応の手順", "報告された内容", "<svg"),
        "/exceptions": ("承認された例外措置", "有効な例外措置はありません。"),
        "/frameworks": ("人による確認", "10大脅威 2026", "手段なし"),
        "/frameworks/nist-csf": ("PR.PS-02", "点検も質問もありません"),
        "/checks/ports.exposed-high-risk": ("なぜ必要か", "sv-bad", "対応する基準"),
    }
    site.answers.clear()
    for path, texts in expected.items():
        dom = chromium.dom(site.base + path)
        for text in texts:
            assert text in dom, (path, text)
        assert not ELSEWHERE.search(dom), path
        assert "<img" not in dom
        assert chromium.complaints == ""
        assert (path, 200) in site.answers
    assert any(asked.startswith("/static/") and asked.endswith(".css") for asked, _ in site.answers)
    assert {status for _, status in site.answers} == {200}


def test_it_shows_a_stranger_the_way_in(site: Site, chromium: Chromium) -> None:
    site.session = None
    assert "secmon sign-in" in chromium.dom(site.base + "/")
    link = new_link(site.office.database, START, site.base)
    assert "サインインする" in chromium.dom(link)
    assert open_session(site.office.database, link.rpartition("/")[2], START) is not None


def test_it_draws_itself_wide_and_narrow(site: Site, chromium: Chromium) -> None:
    site.sign_in()
    for width in (1280, 500):
        picture = chromium.picture(site.base + "/", width)
        assert picture.startswith(b"\x89PNG")
        assert int.from_bytes(picture[16:20], "big") == width
        assert len(picture) > 20_000
