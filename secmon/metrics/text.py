"""From families to bytes: the two text formats that Prometheus asks for, and gzip."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from msgspec import Struct
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

_EOF: Final = b"# EOF\n"


class _Made(Collector):
    """Families as the encoders want them."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


class Format(Struct, frozen=True, kw_only=True):
    content_type: str
    encode: Callable[[Iterable[Metric]], bytes]
    """Part of a page."""
    end: bytes
    """What closes the page."""


def _plain(metrics: Iterable[Metric]) -> bytes:
    return generate_latest(_Made(metrics))


def _open(metrics: Iterable[Metric]) -> bytes:
    text: bytes = openmetrics.generate_latest(_Made(metrics))  # type: ignore[no-untyped-call]
    return text.removesuffix(_EOF)


PLAIN: Final = Format(content_type=CONTENT_TYPE_PLAIN_0_0_4, encode=_plain, end=b"")
OPENMETRICS: Final = Format(content_type=openmetrics.CONTENT_TYPE_LATEST, encode=_open, end=_EOF)


def negotiate(accept: str) -> Format:
    """OpenMetrics 1.0 for whoever names it; the plain format for everybody else."""
    kinds = {part.split(";")[0].strip() for part in accept.split(",")}
    return OPENMETRICS if "application/openmetrics-text" in kinds else PLAIN


def compress(body: bytes, accept_encoding: str) -> tuple[bytes, str | None]:
    """The body and its Content-Encoding: gzip at level 1 where the other side takes it, as Prometheus does."""
    kinds = {part.split(";")[0].strip() for part in accept_encoding.split(",")}
    return (gzip.compress(body, compresslevel=1, mtime=0), "gzip") if "gzip" in kinds else (body, None)
