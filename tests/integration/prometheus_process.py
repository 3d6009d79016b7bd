"""A real Prometheus with the configuration as shipped, in a folder and on a port of its own."""

from __future__ import annotations

import json
import re
import subprocess  # noqa: TID251 — a test may start the program that it is about
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml

from secmon.resources import dashboards_dir, rules_dir

PATIENCE_S = 120.0
"""Far more than anything here takes; a machine may be very busy."""

Found = TypeVar("Found")
Labels = frozenset[tuple[str, str]]


def wait_for(what: str, look: Callable[[], Found | None]) -> Found:
    """The first thing that `look` finds."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for {what}")


class Prometheus:
    def __init__(self, address: str) -> None:
        self._base = f"http://{address}"

    def get(self, path: str, **parameters: str) -> Any:
        url = f"{self._base}{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 — our own loopback address
            return json.load(answer)["data"]

    def ready(self) -> bool | None:
        try:
            with urllib.request.urlopen(f"{self._base}/-/ready", timeout=5) as answer:  # noqa: S310
                return bool(answer.status == 200) or None
        except (urllib.error.URLError, TimeoutError):
            return None

    def query(self, expression: str, at: float) -> dict[Labels, float]:
        """Value by labels; a scalar stands under no labels."""
        data = self.get("/api/v1/query", query=expression, time=f"{at:.3f}")
        if data["resultType"] == "scalar":
            return {frozenset(): float(data["result"][1])}
        return {frozenset(row["metric"].items()): float(row["value"][1]) for row in data["result"]}

    def last_scrape(self) -> float | None:
        """When the newest page was asked for."""
        found = self.query("timestamp(secmon_build_info)", time.time())
        return max(found.values(), default=None)

    def label_values(self, label: str, match: str) -> set[str]:
        return set(self.get(f"/api/v1/label/{label}/values", **{"match[]": match}))


@contextmanager
def running(folder: Path, target: str, token: str) -> Iterator[Prometheus]:
    """Prometheus scraping `target` (host:port) each second; ended and waited for on leaving."""
    config = _configured(folder, target, token)
    log = folder / "prometheus.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                "--storage.tsdb.retention.time=400d",
                "--web.listen-address=127.0.0.1:0",
            ],
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        server = Prometheus(wait_for("the address of Prometheus", lambda: _address(process, log)))
        wait_for("Prometheus to be ready", server.ready)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _configured(folder: Path, target: str, token: str) -> Path:
    """The shipped configuration with this target and token, and seconds for minutes."""
    shipped = dashboards_dir() / "prometheus" / "prometheus.yml"
    config: dict[str, Any] = yaml.safe_load(shipped.read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    (given,) = config["rule_files"]
    assert (shipped.parent / given).parent.resolve() == (rules_dir() / "prometheus").resolve()
    config["rule_files"] = [str(shipped.parent / given)]
    (job,) = config["scrape_configs"]
    (folder / "token").write_text(token)
    job["authorization"]["credentials_file"] = str(folder / "token")
    job["static_configs"] = [{"targets": [target]}]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    return path


def _address(process: subprocess.Popen[bytes], log: Path) -> str | None:
    text = log.read_text(encoding="utf-8", errors="replace")
    assert process.poll() is None, f"Prometheus ended: {text}"
    found = re.search(r'msg="Listening on" address=(127\.0\.0\.1:[1-9]\d*)', text)
    return found[1] if found else None


def by_label(found: Mapping[Labels, float], *names: str) -> dict[tuple[str, ...], float]:
    """The same values under the values of these labels."""
    short = {tuple(dict(labels)[name] for name in names): value for labels, value in found.items()}
    assert len(short) == len(found)
    return short
