"""Drive the collector over a new TLS connection for each request with vegeta, a load generator written in Go.

A client on OpenSSL 3.0, Python's or C's, spends about 1 ms of its own core on each full handshake, twice what the
server does, and so measures itself. Go's spends a third of that. Sessions are never resumed, and the key exchange is
the one that agents have (X25519).
"""

from __future__ import annotations

import base64
import csv
import os
import shutil
import subprocess  # noqa: TID251 — the driver is a process of its own
from collections.abc import Sequence
from pathlib import Path

import msgspec

_TIMESTAMP_NS, _STATUS, _TOOK_NS, _ERROR = 0, 1, 2, 5
_OVER = "no targets to attack"
"""The error of a worker that finds the list at its end; it sent nothing."""


def found() -> str | None:
    return shutil.which("vegeta")


def new_connections(port: int, requests: Sequence[bytes], workers: int, folder: Path) -> tuple[float, list[float], int]:
    """Send the requests in their order, so many at once. Returns the whole in seconds, the seconds that each took in
    ascending order, and how many were refused."""
    targets, results = folder / "targets.jsonl", folder / "results.bin"
    targets.write_bytes(b"\n".join(_target(port, each) for each in requests))
    subprocess.run(
        ["vegeta", "attack", "-format=json", "-lazy", f"-targets={targets}", f"-output={results}", "-insecure",
         "-keepalive=false", "-http2=false", "-rate=0", f"-workers={workers}", f"-max-workers={workers}"],
        check=True, env={**os.environ, "GODEBUG": "tlsmlkem=0", "GOMAXPROCS": "1"},
    )  # fmt: skip
    told = subprocess.run(["vegeta", "encode", "-to=csv", str(results)], check=True, capture_output=True, text=True)
    rows = [row for row in csv.reader(told.stdout.splitlines()) if row[_ERROR] != _OVER]
    began = [int(row[_TIMESTAMP_NS]) for row in rows]
    took = [int(row[_TOOK_NS]) for row in rows]
    ended = max(start + each for start, each in zip(began, took, strict=True))
    refused = sum(row[_STATUS] != "200" for row in rows)
    return (ended - min(began)) / 1e9, sorted(each / 1e9 for each in took), refused


def _target(port: int, request: bytes) -> bytes:
    head, _, body = request.partition(b"\r\n\r\n")
    fields = (line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    header = {name: [value] for name, value in fields if name not in ("host", "content-length")}
    return msgspec.json.encode(
        {
            "method": "POST",
            "url": f"https://127.0.0.1:{port}/v1/reports",
            "header": header,
            "body": base64.b64encode(body).decode(),
        }
    )
