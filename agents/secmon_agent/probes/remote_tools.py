"""Products by which somebody sees or steers a machine from afar, known by the names of their programs and services.

From the makers' documentation. A renamed program is not found, and a program that merely bears such a name is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

PROGRAMS: Final[Mapping[str, tuple[str, ...]]] = {
    "ammyy-admin": ("aa_v3",),
    "anydesk": ("anydesk",),
    "brynhildr": ("brynhildr",),
    "chrome-remote-desktop": ("remoting_host", "chrome-remote-desktop-host", "chrome-remote-desktop"),
    "dameware": ("dwrcs",),
    "dwservice": ("dwagsvc", "dwagent"),
    "gnome-remote-desktop": ("gnome-remote-desktop-daemon",),
    "gotomypc": ("g2svc", "g2comm", "g2host"),
    "krfb": ("krfb",),
    "logmein": ("logmein", "lmiguardiansvc", "ramaint"),
    "meshagent": ("meshagent",),
    "nomachine": ("nxserver", "nxserver.bin", "nxservice64", "nxservice32"),
    "parsec": ("parsecd", "pservice"),
    "quick-assist": ("quickassist",),
    "radmin": ("rserver3",),
    "realvnc": ("vncserver", "vncserverui", "vncserver-x11-core", "vncserver-virtual"),
    "rustdesk": ("rustdesk",),
    "screenconnect": ("screenconnect.clientservice", "screenconnect.windowsclient"),
    "splashtop": ("srserver", "srservice", "srmanager", "srstreamer"),
    "supremo": ("supremo", "supremoservice", "supremosystem"),
    "teamviewer": ("teamviewer", "teamviewer_service", "teamviewerd"),
    "tigervnc": ("winvnc4", "xvnc", "xtigervnc", "x0vncserver", "x0tigervncserver"),
    "tightvnc": ("tvnserver", "xtightvnc"),
    "ultravnc": ("winvnc",),
    "vino": ("vino-server",),
    "wayvnc": ("wayvnc",),
    "x11vnc": ("x11vnc",),
    "xrdp": ("xrdp", "xrdp-sesman"),
}
"""Names of programs in lower case, without `.exe`."""
SERVICES: Final[Mapping[str, tuple[str, ...]]] = {
    "anydesk": ("anydesk",),
    "chrome-remote-desktop": ("chromoting",),
    "dameware": ("dwmrcs",),
    "dwservice": ("dwagent",),
    "gotomypc": ("gotomypc",),
    "logmein": ("logmein", "lmimaint"),
    "meshagent": ("mesh agent",),
    "nomachine": ("nxservice", "nxservice64"),
    "parsec": ("parsec",),
    "radmin": ("rserver3",),
    "realvnc": ("vncserver",),
    "rustdesk": ("rustdesk",),
    "screenconnect": ("screenconnect client",),
    "splashtop": ("splashtopremoteservice",),
    "supremo": ("supremoservice",),
    "teamviewer": ("teamviewer",),
    "tigervnc": ("winvnc4",),
    "tightvnc": ("tvnserver",),
    "ultravnc": ("uvnc_service",),
}
"""Names of Windows services in lower case; ScreenConnect adds its instance in brackets."""
_COMM_CHARS: Final = 15
"""The Linux kernel keeps no more of a name."""


def running_tools(programs: Iterable[str], services: Iterable[str] = ()) -> tuple[str, ...]:
    """Products one of whose programs or services is among those that run."""
    plain = {name.lower().removesuffix(".exe") for name in programs}
    active = {name.lower().partition(" (")[0] for name in services}
    found = {tool for tool, names in PROGRAMS.items() if any(_is_among(name, plain) for name in names)}
    found |= {tool for tool, names in SERVICES.items() if not active.isdisjoint(names)}
    return tuple(sorted(found))


def _is_among(name: str, running: set[str]) -> bool:
    return name in running or (len(name) > _COMM_CHARS and name[:_COMM_CHARS] in running)
