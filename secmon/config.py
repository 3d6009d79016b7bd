"""One TOML file, read once into a frozen object. Unknown keys and unreadable secret files stop start-up."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from datetime import date
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta, Struct

from secmon.errors import UsageError

Positive = Annotated[int, Meta(ge=1)]
Article = Annotated[str, Meta(min_length=1, max_length=64)]
_LEAP_YEAR = 2000


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class Office(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str = "○○町役場"
    """Printed on reports and mails."""
    contact: str = "総務課 情報担当"
    """Whom a reader of a mail turns to; a post, not a person."""
    language: Literal["ja", "en"] = "ja"
    time_zone: str = "Asia/Tokyo"
    holidays: tuple[str, ...] = ()
    """Days the office is closed besides weekends and national holidays: "12-29" each year, or "2027-05-06"."""


class Ingest(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    address: str = "127.0.0.1:8443"
    """ADDRESS:PORT on which agents report, over TLS."""
    name: str = ""
    """DNS alias by which agents reach it; empty: this machine's host name."""
    certificate: str = ""
    """The office's own server certificate (PEM, with chain) and key; empty: made and renewed by the site CA."""
    key: str = ""
    ca: str = ""
    """The CA certificate that agents shall trust when `certificate` is the office's own."""
    interval_s: Annotated[int, Meta(ge=60, le=86_400)] = 900
    """How often a machine reports."""


class Console(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    address: str = "127.0.0.1:8080"
    """ADDRESS:PORT of the pages and /metrics. Beyond loopback it speaks TLS."""
    metrics_token: str = ""
    """Bearer token for /metrics and /healthz from beyond loopback."""
    metrics_token_file: str = ""


class DatabaseSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: str = ""
    """postgresql://user@host/name; empty: SQLite in the data folder."""
    url_file: str = ""


class Zone(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: Annotated[str, Meta(pattern="^[a-z][a-z0-9-]*$", max_length=32)]
    """`lgwan`, `mynumber`, `internet`, …: the label of metrics and the key of limits."""
    name: str
    """As people call it: LGWAN接続系."""
    networks: tuple[str, ...] = ()
    """CIDR."""
    stale_days: Positive = 14
    """Facts older than this count as unknown."""
    silent_days: Positive = 14
    """A machine that has not reported for this long is called silent."""


class Mail(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    host: str = ""
    """SMTP server; empty: mails are written to the data folder."""
    port: Annotated[int, Meta(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: str = ""
    password_file: str = ""
    ca: str = ""
    """CA certificate of the mail server, PEM; empty: the system's."""
    sender: str = "secmon@localhost"
    recipients: tuple[str, ...] = ("it@localhost",)


class Rules(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    folder: str = ""
    """Rules folder; empty: the one that came with secmon."""
    site: str = ""
    """The office's own rules: checks, limits, lists, profiles; empty: `rules` in the data folder, if there is one."""


class Retention(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    fiscal_years: Positive = 6
    """Intervals, audit and reports."""
    section_days: Positive = 90
    """Superseded section versions."""


class Ledger(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    grace_days: Positive = 14
    """A machine that was entered into the asset ledger has this long to report for the first time."""


class Config(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    data_dir: str = "data"
    office: Office = Office()
    ingest: Ingest = Ingest()
    console: Console = Console()
    database: DatabaseSection = DatabaseSection()
    zones: tuple[Zone, ...] = ()
    mail: Mail = Mail()
    ledger: Ledger = Ledger()
    rules: Rules = Rules()
    articles: Mapping[str, Mapping[str, Article]] = {}
    """By framework and control: the number in the office's own rules, `第12条第3項`."""
    retention: Retention = Retention()

    @property
    def folder(self) -> Path:
        return Path(self.data_dir)

    @property
    def tz(self) -> ZoneInfo:
        return ZoneInfo(self.office.time_zone)

    def zone(self, zone_id: str | None) -> Zone | None:
        return next((zone for zone in self.zones if zone.id == zone_id), None)

    @property
    def zone_networks(self) -> tuple[tuple[str, str], ...]:
        """Each network with the id of its zone."""
        return tuple((network, zone.id) for zone in self.zones for network in zone.networks)

    def stale_after_s(self, zone_id: str | None) -> float:
        """A machine without a zone gets the strictest limit."""
        zone = self.zone(zone_id)
        days = zone.stale_days if zone else min((each.stale_days for each in self.zones), default=14)
        return days * 86_400.0

    def silent_after_s(self, zone_id: str | None) -> float:
        zone = self.zone(zone_id)
        days = zone.silent_days if zone else min((each.silent_days for each in self.zones), default=14)
        return days * 86_400.0


def load(path: Path) -> Config:
    """Read and check the file. Raises UsageError naming file, line and reason."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    try:
        config = msgspec.convert(tomllib.loads(text), Config)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}") from None
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}:{_line(text, str(error))}: {error}") from None
    return check(msgspec.structs.replace(config, data_dir=str(path.parent / config.data_dir)), path.parent, str(path))


def check(config: Config, base: Path, origin: str = "configuration") -> Config:
    """Resolve secret files and refuse what cannot work. Paths are relative to `base`."""
    try:
        ZoneInfo(config.office.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise UsageError(f"{origin}: office.time_zone {config.office.time_zone!r} is not a time zone") from None
    for listener in ("ingest", "console"):
        parse_address(getattr(config, listener).address, f"{origin}: {listener}.address")
    if bool(config.ingest.certificate) != bool(config.ingest.key):
        raise UsageError(f"{origin}: ingest.certificate and ingest.key go together")
    if config.ingest.certificate and not config.ingest.ca:
        raise UsageError(f"{origin}: ingest.ca is needed with ingest.certificate; agents trust it alone")
    _check_zones(config, origin)
    _check_holidays(config, origin)
    _check_mail(config.mail, origin)
    replace = msgspec.structs.replace
    return replace(
        config,
        ingest=replace(
            config.ingest,
            **{name: _path(base, getattr(config.ingest, name)) for name in ("certificate", "key", "ca")},
        ),
        mail=replace(
            config.mail,
            password=_secret(base, config.mail.password, config.mail.password_file, f"{origin}: mail.password"),
            ca=_path(base, config.mail.ca),
        ),
        console=replace(
            config.console,
            metrics_token=_secret(
                base,
                config.console.metrics_token,
                config.console.metrics_token_file,
                f"{origin}: console.metrics_token",
            ),
        ),
        database=replace(
            config.database,
            url=_secret(base, config.database.url, config.database.url_file, f"{origin}: database.url"),
        ),
        rules=replace(config.rules, folder=_path(base, config.rules.folder), site=_path(base, config.rules.site)),
    )


def parse_address(text: str, where: str) -> tuple[str, int]:
    """(host, port) of `ADDRESS:PORT`, IPv6 in brackets."""
    form = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(\d{1,5})", text)
    if form is None or int(form[2]) > 65535:
        raise UsageError(f"{where}: {text!r} is not ADDRESS:PORT")
    return form[1].strip("[]"), int(form[2])


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_zones(config: Config, origin: str) -> None:
    seen: set[str] = set()
    for zone in config.zones:
        if zone.id in seen:
            raise UsageError(f"{origin}: zones: {zone.id!r} stands twice")
        seen.add(zone.id)
        for network in zone.networks:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise UsageError(f"{origin}: zones: {zone.id}: {error}") from None


def _check_holidays(config: Config, origin: str) -> None:
    for holiday in config.office.holidays:
        day = holiday if len(holiday) > len("MM-DD") else f"{_LEAP_YEAR}-{holiday}"
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", day) or not _is_day(day):
            raise UsageError(f'{origin}: office.holidays: {holiday!r} is neither a day "MM-DD" nor "YYYY-MM-DD"')


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _check_mail(mail: Mail, origin: str) -> None:
    if mail.host and not mail.recipients:
        raise UsageError(f"{origin}: mail.recipients: nobody would get the mails that mail.host takes")
    for name, addresses in (("sender", (mail.sender,)), ("recipients", mail.recipients)):
        for address in addresses:
            if not re.fullmatch(r"[^\s@]+@[^\s@]+", parseaddr(address)[1]):
                raise UsageError(f"{origin}: mail.{name}: {address!r} is no mail address")


def _path(base: Path, value: str) -> str:
    return str(base / value) if value else ""


def _secret(base: Path, value: str, file: str, where: str) -> str:
    if value and file:
        raise UsageError(f"{where}: given twice, directly and as a file")
    if not file:
        return value
    try:
        secret = (base / file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{where}_file: {base / file}: {getattr(error, 'strerror', None) or error}") from None
    if not secret:
        raise UsageError(f"{where}_file: {base / file}: is empty")
    return secret


def _line(text: str, message: str) -> int:
    """Line of the table and key that a validation message names; 1 where it cannot be told."""
    path = re.search(r"at `\$\.?([^`]*)`", message)
    parts = [part for part in re.split(r"[.\[]|\[?\.\.\.\]?", path[1]) if part and part != "]"] if path else []
    unknown = re.search(r"unknown field `([^`]*)`", message)
    if unknown:
        parts.append(unknown[1])
    table, key = (parts[0] if len(parts) > 1 else "", parts[-1] if parts else "")
    current = ""
    fallback = 1
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*([A-Za-z0-9_.-]+)", line)
        if header:
            current = header[1]
            if current in (table, key):
                fallback = number
        elif current == table and re.match(rf"\s*{re.escape(key)}\s*=", line):
            return number
    return fallback
