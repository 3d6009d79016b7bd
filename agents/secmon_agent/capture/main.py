"""`secmon-agent capture`: records, says what the recording holds, checks that it tells the same, and writes it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from secmon_agent import __version__, durable, wire
from secmon_agent.capture.learn import Own, learn
from secmon_agent.capture.recording import Made, make
from secmon_agent.capture.redact import Redactor
from secmon_agent.capture.tape import taped
from secmon_agent.collect import collect
from secmon_agent.errors import ConfigError, StorageError
from secmon_agent.facts_document import plain_facts
from secmon_agent.host import Host
from secmon_agent.recorded import recorded_host
from secmon_agent.words import Language, Words

_KINDS: Final[Mapping[str, Words]] = {
    "person": Words(ja="利用者の名前", en="names of people"),
    "host": Words(ja="機器の名前", en="the machine's name"),
    "domain": Words(ja="ドメインと庁内の宛先", en="domains and servers of the site"),
    "serial": Words(ja="製造番号", en="serial numbers"),
    "address": Words(ja="IP アドレスの範囲と MAC アドレス", en="IP networks and MAC addresses"),
    "password": Words(ja="パスワード", en="passwords"),
    "key": Words(ja="鍵", en="keys"),
    "mail": Words(ja="メールアドレス", en="mail addresses"),
    "wireless": Words(ja="無線 LAN の名前", en="wireless networks"),
    "sid": Words(ja="SID", en="SIDs"),
}
_README: Final = """# {title}

Recorded on a real machine ({title}) by `secmon-agent capture` {version}, on {day}, and redacted: names of people, of
the machine and of the site, serial numbers, addresses, password hashes, keys and mail addresses are replaced, the same
by the same. It holds what the probes of this version asked for and nothing else.
{kept_back}"""

Sections = Mapping[str, wire.Section]
Say = Callable[[str], None]


def capture(target: Path, host: Host, own: Own, language: Language, say: Say) -> bool:
    """Write the recording to `target`, a folder that is empty or new, or a new `.zip`. Whether it tells of every
    section what the machine told. Raises ConfigError or StorageError."""
    _refuse_used(target)
    wrapped, tape = taped(host)
    live = collect(wrapped)
    made = make(tape, Redactor(learn(tape, own)), wrapped, f"Recorded on a real machine ({_title(live)}); redacted.")
    files = made.files | {"README.md": _readme(live, wrapped, made).encode()}
    for line in contents(made, language):
        say(line)
    with tempfile.TemporaryDirectory(prefix="secmon-capture-") as scratch:
        folder = Path(scratch) / "recording"
        _write_folder(folder, files)
        different = _different(live, collect(recorded_host(folder)))
    _write_zip(target, files) if target.suffix.lower() == ".zip" else _write_folder(target, files)
    for line in outcome(target, len(live), different, language):
        say(line)
    return not different


def contents(made: Made, language: Language) -> list[str]:
    """What the recording holds, for the person who is going to hand it on."""
    places: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for name, data in made.files.items():
        place = "/".join(name.split("/")[:2]) if name.startswith("root/") else name.split("/")[0]
        places[place] += 1
        sizes[place] += len(data)
    total = sum(sizes.values())
    head = Words(
        ja=f"この記録に入るもの：ファイル {len(made.files)} 個（{_kib(total)}）、レジストリのキー {made.keys} 個",
        en=f"This recording will hold {len(made.files)} files ({_kib(total)}) and {made.keys} registry keys:",
    )
    count = Words(ja="{} 個", en="{} files")
    lines = [head.of(language)]
    lines += [
        f"  {name:<24} {count.of(language).format(places[name]):>10} {_kib(sizes[name]):>10}" for name in sorted(places)
    ]
    lines.append(Words(ja="置き換えたもの：", en="Replaced:").of(language))
    lines += [f"  {words.of(language)}: {made.counts.get(kind, 0)}" for kind, words in _KINDS.items()]
    if made.kept_back:
        lines.append(Words(ja="記録しなかったもの：", en="Kept back:").of(language))
        lines += [f"  {name} ({why})" for name, why in sorted(made.kept_back.items())]
    return lines


def outcome(target: Path, sections: int, different: list[str], language: Language) -> list[str]:
    same = Words(
        ja=f"この記録から読み直し、{sections} 項目すべてで同じ状態になることを確かめました。",
        en=f"Read back, the recording gives the same status for all {sections} sections.",
    )
    other = Words(
        ja="この記録から読み直すと、次の項目は機器の上と同じになりません：" + "、".join(different),
        en="Read back, these sections are not as they are on the machine: " + ", ".join(different),
    )
    written = Words(ja=f"書き込みました：{target}", en=f"Written: {target}")
    warning = Words(
        ja="人に渡す前に、必ず中身をご自分の目で確かめてください。置き換えは自動で、見落としがありえます。"
        "ほとんどは文字のファイルで、メモ帳などで開けます。",
        en="Look through it yourself before you hand it on: replacing is automatic and may have missed something. "
        "Nearly all of it is text that any editor opens.",
    )
    return [(other if different else same).of(language), written.of(language), warning.of(language)]


def own_names() -> Own:
    """What this process knows of the machine beside what the probes read."""
    import socket

    environment = os.environ.get
    persons = [environment(name, "") for name in ("USERNAME", "SUDO_USER", "LOGNAME", "USER")]
    homes = Path(environment("PUBLIC", r"C:\Users\Public")).parent if sys.platform == "win32" else Path("/home")
    if homes.is_dir():
        persons += [path.name for path in homes.iterdir() if path.is_dir()]
    hosts = [socket.gethostname(), environment("COMPUTERNAME", "")]
    domains = [environment(name, "") for name in ("USERDNSDOMAIN", "USERDOMAIN")]
    installation = durable.read(Path("/etc/machine-id")) or b""
    return Own(
        persons=tuple(name for name in persons if name),
        hosts=tuple(name for name in hosts if name),
        domains=tuple(name for name in domains if name and name.lower() not in map(str.lower, hosts)),
        serials=(installation.decode("ascii", "replace").strip(),),
    )


def _different(live: Sections, again: Sections) -> list[str]:
    return sorted(name for name in live if name not in again or live[name].status != again[name].status)


def _title(live: Sections) -> str:
    found = plain_facts("os", live["os"]) if "os" in live else None
    return str(found.get("name", "unknown")) if isinstance(found, dict) else "unknown"


def _readme(live: Sections, host: Host, made: Made) -> str:
    kept = [f"- `{name}`: {why}" for name, why in sorted(made.kept_back.items())]
    return _README.format(
        title=_title(live),
        version=__version__,
        day=host.now().date().isoformat(),
        kept_back="\nKept back:\n\n" + "\n".join(kept) + "\n" if kept else "",
    )


def _kib(size: int) -> str:
    return f"{-(-size // 1024)} KiB"


def _refuse_used(target: Path) -> None:
    used = target.exists() and (not target.is_dir() or any(target.iterdir()))
    if used:
        raise ConfigError(f"{target} exists already; name an empty folder or a new one, or a new .zip file")


def _write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    durable.private_directory(folder)
    try:
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror or error}") from None


def _write_zip(target: Path, files: Mapping[str, bytes]) -> None:
    import zipfile

    try:
        with target.open("xb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in sorted(files.items()):
                archive.writestr(f"{target.stem}/{name}", data)
        if sys.platform != "win32":
            target.chmod(0o600)
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror or error}") from None
