"""Updates, as others count them."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

import msgspec

from secmon.commands.common import opened, say
from secmon.config import Config
from secmon.ledger.table import read_file
from secmon.whatif.machines import stored_machines
from secmon.wsus.compare import compare, our_machine
from secmon.wsus.export import read_export
from secmon.wsus.tell import report


def patches_compare(options: Namespace, config: Config) -> int:
    """0 whatever comes out: that two tools count differently is no failure of either."""
    theirs = read_export(read_file(Path(options.wsus)))
    with opened(config) as database:
        ours = [
            machine
            for stored in stored_machines(database, config)
            if (machine := our_machine(stored.name, stored.machine)) is not None
        ]
    found = compare(ours, theirs)
    if options.json:
        told = {"format": "secmon.wsus-comparison.v1", "machines": found}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(told), indent=2).decode() + "\n")
        return 0
    for line in report(found, config.office.language, config.tz):
        say(line)
    return 0
