"""Runs every check and says what was found, for people or for programs."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from secmon_agent import __version__, config, identity, keys, state
from secmon_agent.config import Config
from secmon_agent.doctor import network, own, sections, service
from secmon_agent.doctor.finding import MARKS, Finding, Look, Mark
from secmon_agent.errors import AgentError, ConfigError, StorageError
from secmon_agent.host import Host
from secmon_agent.words import Language, Words

CHECKS: Final[tuple[Callable[[Look], Iterator[Finding]], ...]] = (
    own.rights,
    own.enrollment,
    own.key,
    service.service,
    own.at_work,
    network.road,
    own.acknowledged,
    own.waiting,
    own.disk,
    sections.sections,
)
"""In the order in which they are shown: what must be right first stands first."""
_TOLD_BY_READING: Final = {"enrollment": "state", "key": "key"}
"""Checks that have nothing to add where reading this already failed."""
_LABEL_COLUMNS: Final = 11

T = TypeVar("T")


def examine(config_file: Path | None, state_dir: str | None, host: Host) -> list[Finding]:
    """Everything that could be told. A check that breaks is itself a finding: the others go on."""
    found: list[Finding] = []
    settings = _read(found, "settings", lambda: config.load(config_file)) or Config()
    folder = config.state_dir(settings, state_dir)
    look = Look(
        settings=settings,
        state_dir=folder,
        host=host,
        now=host.now(),
        where=_read(found, "state", lambda: identity.load(folder)),
        key=_read(found, "key", lambda: keys.present(folder)),
        known=_read(found, "state", lambda: state.peek(folder)),
    )
    unread = {it.id for it in found}
    for check in CHECKS:
        told = _TOLD_BY_READING.get(check.__name__)
        if told not in unread:
            found += _checked(check, look)
    return found


def _read(found: list[Finding], what: str, read: Callable[[], T]) -> T | None:
    """None where it cannot be read; then `found` says so, once."""
    try:
        return read()
    except AgentError as error:
        if what not in {it.id for it in found}:
            found.append(unreadable(what, error))
    except OSError as error:
        if what not in {it.id for it in found}:
            found.append(unreadable(what, StorageError(error.strerror or str(error))))
    return None


def unreadable(what: str, error: AgentError) -> Finding:
    titles = {
        "settings": Words(ja="設定ファイル", en="Settings"),
        "state": Words(ja="エージェントの記録", en="The agent's state"),
        "key": Words(ja="署名の鍵", en="Signing key"),
    }
    step = Words(
        ja="管理者の権限でもう一度実行してください。それでも同じなら、登録し直してください。",
        en="Run it again with full rights; if that does not help, enroll again.",
    )
    if isinstance(error, ConfigError):
        step = Words(ja="示された行を直してください。", en="Correct the line that is named.")
    said = Words(ja=f"読み取れません（{error}）。", en=f"It cannot be read: {error}")
    return Finding(id=what, mark="action", title=titles[what], said=said, step=step)


def _checked(check: Callable[[Look], Iterator[Finding]], look: Look) -> list[Finding]:
    try:
        return list(check(look))
    except Exception as error:  # noqa: BLE001 - a broken check must not hide what the others found
        name = check.__name__
        said = Words(
            ja=f"点検の途中で、内部エラーが起きました（{type(error).__name__}）。",
            en=f"The check itself failed ({type(error).__name__}).",
        )
        return [Finding(id=name, mark="unknown", title=Words(ja=name, en=name), said=said)]


def is_well(findings: Sequence[Finding]) -> bool:
    return all(it.mark != "action" for it in findings)


def as_text(findings: Sequence[Finding], hostname: str, language: Language) -> str:
    head = Words(
        ja=f"secmon-agent の自己点検（{hostname}、版 {__version__}）",
        en=f"Self-test of secmon-agent {__version__} on {hostname}",
    )
    lines = [head.of(language), ""]
    for it in findings:
        colon = "：" if language == "ja" else ": "
        lines.append(f"{_label(it.mark, language)}{it.title.of(language)}{colon}{it.said.of(language)}")
        if it.step is not None:
            lines.append(f"{'':{_LABEL_COLUMNS}}→ {it.step.of(language)}")
    return "\n".join([*lines, "", _outcome(findings, language)]) + "\n"


def _label(mark: Mark, language: Language) -> str:
    """Letters of Japanese take two columns."""
    text = f"[{MARKS[mark].of(language)}]"
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return text + " " * max(1, _LABEL_COLUMNS - len(text) - wide)


def _outcome(findings: Sequence[Finding], language: Language) -> str:
    count = Counter(it.mark for it in findings)
    parts = [f"{words.of(language)} {count[mark]}" for mark, words in MARKS.items() if count[mark]]
    todo = Words(
        ja="要対応の項目を、上から順に「→」のとおりに直してください。",
        en="Mend what needs action, from the top, as the arrows say.",
    )
    fine = Words(ja="すぐに直すところはありません。", en="Nothing needs action.")
    joined = ("、" if language == "ja" else ", ").join(parts)
    verdict = (fine if is_well(findings) else todo).of(language)
    return f"点検の結果：{joined}。{verdict}" if language == "ja" else f"Result: {joined}. {verdict}"


def as_json(findings: Sequence[Finding], hostname: str, language: Language) -> str:
    """{"version": …, "host": …, "well": …, "checks": [{"id", "mark", "title", "said", "next"}]}"""
    rows = [
        {
            "id": it.id,
            "mark": it.mark,
            "title": it.title.of(language),
            "said": it.said.of(language),
            "next": None if it.step is None else it.step.of(language),
        }
        for it in findings
    ]
    document = {"version": __version__, "host": hostname, "well": is_well(findings), "checks": rows}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
