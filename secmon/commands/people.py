"""Reports, sign-in links and mail."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from secmon.app import now_utc, read_started
from secmon.commands.common import note, opened, say
from secmon.config import Config, is_loopback
from secmon.console.sign_in import new_link
from secmon.notify.trial import send_test
from secmon.reports.command import make_monthly
from secmon.rulebook import open_rulebook


def report_monthly(options: Namespace, config: Config) -> int:
    rules = open_rulebook(config).rules
    with opened(config) as database:
        files = make_monthly(database, config, rules, options.month, Path(options.out), now_utc(), note)
    for file in files:
        say(str(file))
    return 0


def sign_in(options: Namespace, config: Config) -> int:
    host = config.console.address.rpartition(":")[0].strip("[]")
    started = read_started(config)
    url = started.console_url if started else f"{'http' if is_loopback(host) else 'https'}://{config.console.address}"
    with opened(config) as database:
        say(new_link(database, now_utc(), url))
    return 0


def mail_test(options: Namespace, config: Config) -> int:
    send_test(config, now_utc(), sys.stdout)
    return 0
