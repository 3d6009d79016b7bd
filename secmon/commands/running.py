"""Running a collector, and looking at its settings."""

from __future__ import annotations

import signal
import threading
from argparse import Namespace

from secmon import certificates
from secmon.app import Collector, now_utc
from secmon.commands.common import note, rules_folder, say
from secmon.config import Config
from secmon.rulebook import Rulebook
from secmon.standing import own_addresses, stand_in_one_zone
from secmon.up import up as run


def up(options: Namespace, config: Config) -> int:
    return run(config, config.office.language, once=options.once)


def serve(options: Namespace, config: Config) -> int:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    collector = Collector(config, say=note)
    try:
        started = collector.start()
        note(f"agents report to {started.ingest[0]}:{started.ingest[1]}; the console is {started.console_url}")
        stop.wait()
    finally:
        collector.stop()
    note("stopped")
    return 0


def config_check(options: Namespace, config: Config) -> int:
    """The file has been read and checked on the way here; look at what it names, too."""
    Rulebook(rules_folder(config), config.articles)
    stand_in_one_zone(config, own_addresses())
    if config.ingest.certificate:
        certificates.ensure(config, now_utc())
    if not config.mail.host:
        say(f"mail: no server; mails are written to {config.folder / 'mail'}")
    if not config.zones:
        say("zones: none; every machine gets the strictest limits")
    say("the settings are good")
    return 0
