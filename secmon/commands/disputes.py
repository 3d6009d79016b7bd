"""What the maintainers get to see of a disputed answer."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import msgspec

from secmon.app import now_utc
from secmon.commands.common import actor, note, opened, say, spoken
from secmon.commands.exceptions import find_record
from secmon.config import Config
from secmon.errors import Failure
from secmon.exceptions.export import export
from secmon.ledger.gaps import GAPS
from secmon.rulebook import open_rulebook
from secmon.store import audit


def dispute_export(options: Namespace, config: Config) -> int:
    rules = open_rulebook(config).current
    with opened(config) as database, database.write() as connection:
        record = find_record(connection, options.number, "dispute", config)
        check = rules.checks.get(record.scope.check)
        if record.scope.check in GAPS:
            raise Failure(
                spoken(
                    config,
                    f"{record.number} は台帳との差についてのもので、書き出す事実がありません",
                    f"{record.number} is about the ledger; there are no facts to export",
                )
            )
        if check is None:
            raise Failure(
                spoken(
                    config,
                    f"点検項目 {record.scope.check} は今の判定基準にありません",
                    f"the rules have no check {record.scope.check} any more",
                )
            )
        made, redactor = export(connection, record, check, rules.version, config)
        content = msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n"
        if not made.machines:
            raise Failure(
                spoken(
                    config, f"{record.number} に今当たる指摘はありません", f"{record.number} covers nothing at present"
                )
            )
        if (left := redactor.left(content)) is not None:
            raise Failure(f"{left.replacement} could not be taken out; nothing was exported")
        detail = {"check": check.id, "machines": len(made.machines)}
        audit.write(
            connection, at=now_utc(), actor=actor(), action="dispute.export", subject=record.number, detail=detail
        )
    if options.out is None:
        say(content.decode().rstrip())
    else:
        try:
            Path(options.out).write_bytes(content)
        except OSError as error:
            raise Failure(f"{options.out}: {error.strerror}") from None
        say(options.out)
    note(
        spoken(
            config,
            "端末名や住所（アドレス）は置き換えてあります。送る前に、理由の文に名前などが残っていないか読んで確かめてください",
            "names and addresses are replaced; read it before you send it, the reason above all",
        )
    )
    return 0
