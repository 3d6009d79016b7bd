"""Running a collector, and looking at its settings."""

from __future__ import annotations

import signal
import threading
from argparse import Namespace

from secmon import certificates
from secmon.app import Collector, name_database, now_utc
from secmon.commands.common import note, say
from secmon.config import Config
from secmon.evaluate.ruleset import RuleSet
from secmon.notify.channels import channels
from secmon.rulebook import open_rulebook, rules_folders, strange_zones
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
    _say_own_rules(open_rulebook(config).current, config)
    stand_in_one_zone(config, own_addresses())
    name_database(config).close()
    channels(config)
    if config.ingest.certificate:
        certificates.ensure(config, now_utc())
    if not config.mail.host:
        say(f"mail: no server; mails are written to {config.folder / 'mail'}")
    if not config.zones:
        say("zones: none; every machine gets the strictest limits")
    say("the settings are good")
    return 0


def _say_own_rules(rules: RuleSet, config: Config) -> None:
    site = rules_folders(config).site
    if rules.version == rules.shipped:
        say(f"rules: as shipped ({rules.version}); the office's own would lie in {site or '(rules.site)'}")
        return
    say(
        f"rules: {rules.version}, with the office's own in {site}: {len(rules.own)} checks, "
        f"{len(rules.overrides)} overrides, {sum(profile.is_own for profile in rules.profiles)} profiles"
    )
    for misfit in rules.misfits:
        say(f"set aside: {misfit}")
    for zone in strange_zones(rules, config):
        say(f"rules: the office's own name the zone {zone!r}, which the settings do not have")
