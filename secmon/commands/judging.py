"""Judging without a server, and validating rules."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from secmon.commands.common import rules_folder
from secmon.config import Config
from secmon.evaluate.command import check_rules
from secmon.inspect import run_inspect


def inspect(options: Namespace, config: Config) -> int:
    facts = None if options.facts is None else Path(options.facts)
    return run_inspect(
        facts, json=options.json, language=config.office.language, rules_dir=rules_folder(config), out=sys.stdout
    )


def rules_check(options: Namespace, config: Config) -> int:
    return check_rules(Path(options.folder) if options.folder else rules_folder(config), sys.stdout)
