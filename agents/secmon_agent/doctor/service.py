"""Whether the agent reports by itself: installed, switched on, running."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from secmon_agent.doctor.finding import Finding, Look
from secmon_agent.words import Words

WINDOWS_SERVICE: Final = "secmon-agent"
UNITS: Final = ("secmon-agent.service", "secmon-agent-once.timer")
"""Resident, or by a timer."""
_SYSTEMCTL: Final = "/usr/bin/systemctl"
_TITLE: Final = Words(ja="自動の報告", en="Reporting by itself")


def service(look: Look) -> Iterator[Finding]:
    yield _windows(look) if look.host.family == "windows" else _systemd(look)


def _windows(look: Look) -> Finding:
    try:
        running = {name.lower(): state for name, state in look.host.system.running_services().items()}
    except OSError:
        return _finding("unknown", Words(ja="サービスの状態を読み取れません。", en="Services cannot be read."))
    state = running.get(WINDOWS_SERVICE)
    if state is None:
        said = Words(
            ja=f"サービス {WINDOWS_SERVICE} が入っていません。", en=f"The service {WINDOWS_SERVICE} is not installed."
        )
        step = Words(ja="インストーラーをもう一度実行してください。", en="Run the installer again.")
        return _finding("action", said, step)
    if not state:
        said = Words(
            ja=f"サービス {WINDOWS_SERVICE} が止まっています。", en=f"The service {WINDOWS_SERVICE} is stopped."
        )
        step = Words(
            ja=f"「サービス」(services.msc) で {WINDOWS_SERVICE} を開始してください。"
            "すぐ止まるときは、イベント ビューアーの「アプリケーション」に理由があります。",
            en=f"Start {WINDOWS_SERVICE} in services.msc; if it stops again, the Application event log says why.",
        )
        return _finding("action", said, step)
    return _finding("ok", Words(ja=f"サービス {WINDOWS_SERVICE} が動いています。", en=f"{WINDOWS_SERVICE} runs."))


def _systemd(look: Look) -> Finding:
    units = _units(look)
    if units is None:
        said = Words(
            ja="systemd に問い合わせられません。コンテナーの中などでは、自動で報告する仕組みを別に用意してください。",
            en="systemd cannot be asked; in a container something else has to start the agent.",
        )
        return _finding("unknown", said)
    there = {name: unit for name, unit in units.items() if unit.get("LoadState") == "loaded"}
    if not there:
        said = Words(ja="自動で報告するサービスが入っていません。", en="No service or timer is installed.")
        step = Words(
            ja="パッケージを入れ直すか、agents/packaging/systemd のファイルを置いてください。",
            en="Install the package again, or the units of agents/packaging/systemd.",
        )
        return _finding("action", said, step)
    active = [name for name, unit in there.items() if unit.get("ActiveState") in ("active", "activating", "reloading")]
    if not active:
        said = Words(ja=f"{'、'.join(there)} が止まっています。", en=f"Stopped: {', '.join(there)}.")
        step = Words(
            ja="sudo systemctl enable --now secmon-agent.service を実行してください。"
            "すぐ止まるときは、journalctl -u secmon-agent に理由があります。",
            en="Run: sudo systemctl enable --now secmon-agent.service; journalctl -u secmon-agent says why it stopped.",
        )
        return _finding("action", said, step)
    asleep = [name for name in active if there[name].get("UnitFileState") not in ("enabled", "enabled-runtime")]
    if asleep == active:
        said = Words(
            ja=f"{'、'.join(active)} は動いていますが、再起動すると止まります。",
            en=f"{', '.join(active)} runs, but will not come back after a restart.",
        )
        step = Words(
            ja=f"sudo systemctl enable {active[0]} を実行してください。", en=f"Run: sudo systemctl enable {active[0]}"
        )
        return _finding("note", said, step)
    return _finding("ok", Words(ja=f"{'、'.join(active)} が動いています。", en=f"{', '.join(active)} runs."))


def _units(look: Look) -> dict[str, dict[str, str]] | None:
    """Properties by unit; None where no systemd answers."""
    if not look.host.exists("/run/systemd/system"):
        return None
    try:
        found = look.host.run([_SYSTEMCTL, "show", "--property=Id,LoadState,ActiveState,UnitFileState", *UNITS])
    except Exception:  # noqa: BLE001 - whatever goes wrong, nobody answered
        return None
    blocks = found.stdout.decode("utf-8", "replace").split("\n\n")
    rows = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]
    units = {row["Id"]: row for row in rows if "Id" in row}
    return units if found.exit_code == 0 and units else None


def _finding(mark: object, said: Words, step: Words | None = None) -> Finding:
    return Finding(
        id="service",
        mark="ok" if mark == "ok" else "note" if mark == "note" else "action" if mark == "action" else "unknown",
        title=_TITLE,
        said=said,
        step=step,
    )
