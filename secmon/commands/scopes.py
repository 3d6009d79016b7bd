"""Which machines, check and item a command speaks of."""

from __future__ import annotations

import difflib
import uuid
from argparse import Namespace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.commands.common import check_text, spoken
from secmon.config import Config
from secmon.errors import Failure, UsageError
from secmon.evaluate.ruleset import RuleSet
from secmon.exceptions.model import Scope
from secmon.ledger.gaps import GAPS, described
from secmon.store.hosts import find_host
from secmon.store.schema import hosts

_MACHINES = ("host", "zone", "department", "role")
_MAX_ITEM = 255


def scope_of(connection: Connection, options: Namespace, rules: RuleSet, config: Config) -> Scope:
    """What --check, --item and the machines' options say; raises UsageError or Failure where that is nothing."""
    given = {name: getattr(options, name) for name in _MACHINES if getattr(options, name) is not None}
    of_asset = options.check in GAPS
    if of_asset and "host" in given:
        raise UsageError(
            spoken(
                config,
                f"--host：{options.check} は端末がない指摘です。--item に台帳番号を書いてください",
                f"--host: {options.check} is about no machine; name the asset number with --item",
            )
        )
    if of_asset and not given and not options.all_machines and not options.item:
        raise UsageError(
            spoken(
                config,
                "対象の機器を --item 台帳番号、または --zone、--department で指定してください。"
                "台帳のすべてを対象にするときだけ --all-machines を付けます",
                "say which machines: --item ASSET-NUMBER, --zone or --department; --all-machines only for all of them",
            )
        )
    if bool(given) == options.all_machines and not (of_asset and options.item and not given):
        raise UsageError(
            spoken(
                config,
                "対象の端末を --host、--zone、--department、--role で指定してください。"
                "すべての端末を対象にするときだけ --all-machines を付けます",
                "say which machines: --host, --zone, --department or --role; --all-machines only for all of them",
            )
        )
    for name in ("zone", "department", "role"):
        check_text(f"--{name}", given.get(name, ""), 64 if name == "zone" else 255)
    check_zone(given.get("zone"), config)
    if options.item is not None and not 0 < len(options.item) <= _MAX_ITEM:
        raise UsageError(f"--item: 1–{_MAX_ITEM}")
    return Scope(
        check=check_of(options.check, rules, config),
        item=options.item,
        host_id=host_of(connection, given["host"], config) if "host" in given else None,
        zone=given.get("zone"),
        department=given.get("department"),
        role=given.get("role"),
    )


def check_zone(zone: str | None, config: Config) -> None:
    if zone is not None and config.zones and config.zone(zone) is None:
        known = ", ".join(each.id for each in config.zones)
        raise UsageError(
            spoken(
                config,
                f"--zone {zone}：設定にない系統です（あるもの：{known}）",
                f"--zone {zone}: there is no such zone in the settings ({known})",
            )
        )


def check_of(check: str, rules: RuleSet, config: Config) -> str:
    if described(rules, check) is not None:
        return check
    close = ", ".join(difflib.get_close_matches(check, [*rules.checks, *GAPS], 3, 0.5))
    raise UsageError(
        spoken(
            config,
            f"--check {check}：そのような点検項目はありません{f'（似たもの：{close}）' if close else ''}",
            f"--check {check}: there is no such check{f'; close: {close}' if close else ''}",
        )
    )


def host_of(connection: Connection, name: str, config: Config) -> uuid.UUID:
    host_id = find_host(connection, name)
    retired = sa.select(hosts.c.retired_at).where(hosts.c.host_id == host_id)
    if host_id is None or connection.execute(retired).scalar() is not None:
        raise Failure(
            spoken(
                config,
                f"端末 {name} は使用中の端末にありません。`secmon host list` で確かめてください",
                f"there is no host {name!r} in use; see `secmon host list`",
            )
        )
    return host_id


def host_names(connection: Connection) -> dict[uuid.UUID, str]:
    return {row.host_id: row.name for row in connection.execute(sa.select(hosts.c.host_id, hosts.c.name))}
