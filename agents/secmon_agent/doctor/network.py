"""The road to the collector, step by step: the first step that fails is the one to mend."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from secmon_agent import identity, transport
from secmon_agent.doctor import registration
from secmon_agent.doctor.finding import Finding, Look
from secmon_agent.errors import AgentError, printable
from secmon_agent.http1 import Connection, HttpError
from secmon_agent.identity import Identity
from secmon_agent.words import Words

_TIMEOUT_S: Final = 10.0
_TOLERABLE_S: Final = 120.0
"""A clock that is further off blurs the order of what happens on several machines."""
_PERIOD: Final = (9, 10)
_OTHER_NAME: Final = (62, 64)
"""Of OpenSSL's X509_V_ERR_…"""

_NAME: Final = Words(ja="サーバーの名前", en="Name of the collector")
_ROAD: Final = Words(ja="サーバーへの接続", en="Connection to the collector")
_TRUST: Final = Words(ja="サーバーの証明書", en="Certificate of the collector")
_ANSWER: Final = Words(ja="サーバーの応答", en="Answer of the collector")
_CLOCK: Final = Words(ja="時計", en="Clock")


def road(look: Look) -> Iterator[Finding]:
    where = look.where
    if where is None:
        return
    proxy = urlsplit(look.settings.proxy) if look.settings.proxy else None
    host, port = (proxy.hostname or "", proxy.port or 0) if proxy else (where.host, where.port)
    addresses = _resolved(host, port)
    if not addresses:
        yield _no_name(host, proxied=proxy is not None)
        yield from _clock_as_known(look)
        return
    said = Words(ja=f"{host} → {'、'.join(addresses)}", en=f"{host} → {', '.join(addresses)}")
    yield Finding(id="name", mark="ok", title=_NAME, said=said)
    trouble = _unreachable(host, port)
    if trouble is not None:
        yield _no_road(host, port, trouble)
        yield from _clock_as_known(look)
        return
    said = Words(ja=f"{host} のポート {port} につながります。", en=f"{host} port {port} can be reached.")
    yield Finding(id="connection", mark="ok", title=_ROAD, said=said)
    yield from _spoken(look, where)


def _resolved(host: str, port: int) -> list[str]:
    try:
        return sorted({str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})
    except (OSError, UnicodeError):
        return []


def _no_name(host: str, *, proxied: bool) -> Finding:
    said = Words(ja=f"{host} の名前を調べられません。", en=f"{host} cannot be resolved.")
    step = Words(
        ja="この機器の DNS サーバーの設定と、DNS にこの名前があるかを確かめてください。",
        en="Check this machine's DNS servers, and that they know the name.",
    )
    if proxied:
        step = Words(ja="agent.toml の proxy の名前を確かめてください。", en="Check `proxy` in agent.toml.")
    return Finding(id="name", mark="action", title=_NAME, said=said, step=step)


def _unreachable(host: str, port: int) -> OSError | None:
    try:
        socket.create_connection((host, port), timeout=_TIMEOUT_S).close()
    except OSError as error:
        return error
    return None


def _no_road(host: str, port: int, error: OSError) -> Finding:
    if isinstance(error, ConnectionRefusedError):
        said = Words(
            ja=f"{host} のポート {port} は、接続を断りました。", en=f"{host} refuses connections to port {port}."
        )
        step = Words(
            ja="secmon のサーバーが動いているか、確かめてください（サーバーの上で secmon serve）。",
            en="See whether the collector runs there (secmon serve).",
        )
    else:
        why = transport.explain(error)
        said = Words(
            ja=f"{host} のポート {port} につながりません（{why}）。", en=f"{host} port {port} is not reached: {why}."
        )
        step = Words(
            ja="サーバーの電源、途中の経路、ファイアウォールの許可を、この順に確かめてください。",
            en="Check, in this order: the collector's power, the route, the firewalls on the way.",
        )
    return Finding(id="connection", mark="action", title=_ROAD, said=said, step=step)


def _spoken(look: Look, where: Identity) -> Iterator[Finding]:
    """TLS by the pinned CA, then a question that changes nothing."""
    try:
        connection = transport.secured(
            where.host,
            where.port,
            identity.trusted(look.settings, where),
            proxy=look.settings.proxy,
            timeout_s=_TIMEOUT_S,
        )
    except (OSError, HttpError, AgentError) as error:
        yield _no_trust(error, where)
        yield from _clock_as_known(look)
        return
    said = Words(ja="この機器が信頼する認証局が発行した証明書です。", en="It comes from a CA that this machine trusts.")
    yield Finding(id="certificate", mark="ok", title=_TRUST, said=said)
    try:
        yield from _answered(look, connection)
    finally:
        connection.close()


def _no_trust(error: Exception, where: Identity) -> Finding:
    detail = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
    if detail in _PERIOD:
        said = Words(ja="証明書の有効期間の外です。", en="The certificate is outside its period of validity.")
        step = Words(
            ja="まずこの機器の時計を確かめ、合っていればサーバーの証明書を更新してください。",
            en="Check this machine's clock first; if it is right, renew the collector's certificate.",
        )
    elif detail in _OTHER_NAME:
        said = Words(
            ja=f"サーバーの証明書は {where.host} のものではありません。",
            en=f"The certificate is not for {where.host}.",
        )
        step = Words(
            ja="接続先が正しいか、サーバーの設定の [ingest] name がこの名前かを確かめてください。",
            en="Check the address, and that the collector's certificate names it.",
        )
    elif detail:
        said = Words(
            ja="この機器が信頼するのとは別の認証局の証明書です。何も送っていません。",
            en="It comes from another CA than those that this machine trusts; nothing was sent.",
        )
        step = Words(
            ja="途中で通信を復号する機器（プロキシなど）があれば、対象から外してください。"
            "サーバーを作り直したか、この機器を長く使わないうちに認証局が替わったときは、新しい登録文字列で登録し直します。",
            en="Exempt the collector from any device that opens TLS on the way. If the collector was set up anew, or "
            "its CA changed while this machine was off for long, enroll again with a new string.",
        )
    else:
        why = printable(transport.explain(error))
        said = Words(ja=f"暗号化した接続ができません（{why}）。", en=f"No TLS connection: {why}.")
        step = Words(
            ja="そのポートで動いているのが secmon かどうか、プロキシの設定とあわせて確かめてください。",
            en="Check that it is secmon that listens there, and the proxy's settings.",
        )
    return Finding(id="certificate", mark="action", title=_TRUST, said=said, step=step)


def _answered(look: Look, connection: Connection) -> Iterator[Finding]:
    try:
        sent_at = time.time()
        response = connection.request("GET", "/v1/ca", {}, b"", transport.MAX_ANSWER_BYTES)
        at = (sent_at + time.time()) / 2
        status, date = response.status, response.headers.get("date")
    except (OSError, HttpError) as error:
        status, date, at = 0, None, 0.0
        why = transport.explain(error)
    else:
        why = f"HTTP {status}"
    if status != 200:
        said = Words(ja=f"正しい応答がありません（{why}）。", en=f"It gives no proper answer: {why}.")
        step = Words(ja="secmon のサーバーのログを確かめてください。", en="Look at the collector's log.")
        yield Finding(id="answer", mark="action", title=_ANSWER, said=said, step=step)
        yield from _clock_as_known(look)
        return
    said = Words(ja="secmon のサーバーが応答しました。", en="It answers.")
    yield Finding(id="answer", mark="ok", title=_ANSWER, said=said)
    yield from registration.registration(look, connection)
    try:
        offset = None if date is None else parsedate_to_datetime(date).timestamp() + 0.5 - at
    except (ValueError, TypeError, OverflowError):
        offset = None
    yield from _clock_as_known(look) if offset is None else [_clock(offset)]


def _clock_as_known(look: Look) -> Iterator[Finding]:
    """By the last answer to a report."""
    if look.known is not None and look.known.offset_s is not None:
        yield _clock(look.known.offset_s, before=True)
    else:
        said = Words(ja="サーバーの時計と比べられません。", en="It cannot be compared with the collector's.")
        yield Finding(id="clock", mark="unknown", title=_CLOCK, said=said)


def _clock(offset_s: float, *, before: bool = False) -> Finding:
    """`offset_s`: the collector's minus this machine's; known to a second."""
    size = abs(round(offset_s))
    ahead = Words(ja="進んで", en="ahead of") if offset_s < 0 else Words(ja="遅れて", en="behind")
    when = Words(ja="最後の報告のとき、", en="at the last report, ") if before else Words(ja="", en="")
    if size <= 1:
        said = Words(ja=f"{when.ja}サーバーの時計と合っています。", en=f"{when.en}as the collector's.".capitalize())
    else:
        said = Words(
            ja=f"{when.ja}サーバーより {size} 秒{ahead.ja}います。",
            en=f"{when.en}{size} s {ahead.en} the collector's.".capitalize(),
        )
    wrong = size > _TOLERABLE_S
    step = Words(
        ja="この機器の時刻の自動同期（NTP）の設定を確かめ、時計を合わせてください。",
        en="Check this machine's time synchronisation (NTP) and set the clock.",
    )
    return Finding(id="clock", mark="action" if wrong else "ok", title=_CLOCK, said=said, step=step if wrong else None)
