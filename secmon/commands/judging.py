"""Judging without a server, and validating rules."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from secmon.config import Config
from secmon.evaluate.command import check_rules
from secmon.evaluate.folders import Folders
from secmon.inspect import run_inspect
from secmon.rulebook import rules_folders
from secmon.whatif.trial import is_site


def inspect(options: Namespace, config: Config) -> int:
    folders = rules_folders(config)
    facts = None if options.facts is None else Path(options.facts)
    return run_inspect(
        facts, json=options.json, language=config.office.language, rules_dir=folders.shipped, site=folders.site,
        out=sys.stdout,
    )  # fmt: skip


def rules_check(options: Namespace, config: Config) -> int:
    """A folder of an office is looked at beside the shipped rules, of which it speaks."""
    folders = rules_folders(config)
    if options.folder:
        path = Path(options.folder)
        folders = Folders(folders.shipped, path) if is_site(path) else Folders(path)
    return check_rules(folders.shipped, sys.stdout, site=folders.site)
