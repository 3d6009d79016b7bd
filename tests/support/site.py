"""An office's own rules folder, written for one test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

OWN_CHECK = """\
id: {id}
area: software
title: {{ja: 町で禁止したソフトウェア, en: Software that the town forbids}}
applies: os.family == "linux"
when_absent: not_applicable
items: software.packages.filter(entry, entry.name == "telnetd")
key: item.name
pass: "false"
severity: high
why: {{ja: 町の規程で禁止しています。, en: The town's rules forbid it.}}
fix: {{ja: [削除してください。], en: [Remove it.]}}
examples:
  - {{facts: {{os: {{family: linux}}, software: {{packages: []}}}}, expect: pass}}
  - {{facts: {{os: {{family: linux}}, software: {{packages: [{{name: telnetd}}]}}}}, expect: fail, items: [telnetd]}}
"""


def own_check(id_: str = "software.town-telnet") -> str:
    return OWN_CHECK.format(id=id_)


def write_site(folder: Path, files: Mapping[str, str]) -> Path:
    """`files` by their paths in the folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
    folder.mkdir(exist_ok=True)
    return folder
