"""The agent's settings, read once. A key nobody knows or a value of the wrong kind stops start-up with its line."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from secmon_agent.errors import ConfigError
from secmon_agent.limits import MAX_INTERVAL_S, MAX_WIRE_BYTES, MIN_INTERVAL_S


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting, with its default. All are optional."""

    state_dir: str = ""
    """Folder of the key, the state and the spool; `default_state_dir()` when empty."""
    interval_s: Annotated[int, Meta(ge=MIN_INTERVAL_S, le=MAX_INTERVAL_S)] = 3600
    """Seconds between reports until the collector says otherwise."""
    proxy: Annotated[str, Meta(pattern=r"^http://[^/@\s]+:\d+/?$")] | None = None
    """`http://HOST:PORT` of a proxy that lets CONNECT through. The system's proxy settings are never used."""
    ca_file: str | None = None
    """PEM or DER certificates to trust instead of the one stored at enrollment."""
    timeout_s: Annotated[float, Meta(gt=0, le=300)] = 30.0
    """Longest silence of the network within one request."""
    spool_max_bytes: Annotated[int, Meta(ge=2 * MAX_WIRE_BYTES)] = 32 << 20
    spool_max_days: Annotated[float, Meta(gt=0)] = 30.0
    """Days at work: neither a clock that is set nor a pause of this machine makes a report older."""
    battery_percent: Annotated[int, Meta(ge=0, le=100)] = 20
    """While the machine runs on its battery with less than this left, a scan is put off, for at most six hours; 0
    never. `once --now` does not wait."""


def default_config_file() -> Path:
    return _program_data() / "agent.toml" if sys.platform == "win32" else Path("/etc/secmon-agent/agent.toml")


def default_state_dir() -> Path:
    return _program_data() if sys.platform == "win32" else Path("/var/lib/secmon-agent")


def _program_data() -> Path:
    return Path(os.environ.get("ProgramData", r"C:\ProgramData")) / "secmon-agent"  # noqa: SIM112 - Windows spells it so


def load(path: Path | None) -> Config:
    """Settings of `path`; without one, of the default file, which may be absent. Raises ConfigError."""
    named = path is not None
    path = path or default_config_file()
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        if named:
            raise ConfigError(f"{path}: there is no such configuration file") from None
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    return parse(text, str(path))


def parse(text: str, where: str) -> Config:
    import tomllib

    try:
        return msgspec.convert(tomllib.loads(text), Config)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: {error}") from None
    except msgspec.ValidationError as error:
        message = str(error)
        key = re.search(r"unknown field `([^`]+)`|at `\$\.([^`.\[]+)", message)
        if key is None:
            raise ConfigError(f"{where}: {message}") from None
        name = key[1] or key[2]
        if key[1]:
            message = f"there is no setting {name!r}; known are {', '.join(Config.__struct_fields__)}"
        raise ConfigError(f"{where}, line {_line(text, name)}: {message}") from None


def _line(text: str, key: str) -> int:
    pattern = re.compile(rf"\s*\[*\s*[\"']?{re.escape(key)}\b")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)


def state_dir(config: Config, argument: str | None) -> Path:
    """The folder that the command line, the configuration or the system's custom names, in this order."""
    return Path(argument or config.state_dir or default_state_dir())
