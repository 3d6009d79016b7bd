"""Settings: what is wrong is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from secmon_agent import config
from secmon_agent.errors import ConfigError


def test_it_reads_every_setting() -> None:
    text = """
    state_dir = "/srv/agent"
    interval_s = 900
    proxy = "http://proxy.example:8080"
    ca_file = "/etc/ca.pem"
    timeout_s = 5
    spool_max_bytes = 3_000_000
    spool_max_days = 7
    battery_percent = 30
    """
    read = config.parse(text, "agent.toml")
    assert [getattr(read, name) for name in read.__struct_fields__] == [
        "/srv/agent", 900, "http://proxy.example:8080", "/etc/ca.pem", 5.0, 3_000_000, 7.0, 30,
    ]  # fmt: skip
    assert set(read.__struct_fields__) == {line.split()[0] for line in text.strip().splitlines()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "interval_s = 900\n\nintervall_s = 5",
            "agent.toml, line 3: there is no setting 'intervall_s'; known are state_dir",
        ),
        ("[server]\nport = 1", "agent.toml, line 1: there is no setting 'server'"),
        ("# interval_s\ninterval_s = 'x'", "agent.toml, line 2: Expected `int`, got `str`"),
        ("interval_s = 5", "agent.toml, line 1: Expected `int` >= 60"),
        ("proxy = 'https://user:secret@proxy'", "agent.toml, line 1: "),
        ("interval_s = ", "agent.toml: Invalid value (at end of document)"),
        ("a b", "line 1"),
    ],
)
def test_it_names_the_line_and_the_reason(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse(text, "agent.toml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_it_needs_no_file_but_the_one_that_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "default_config_file", lambda: tmp_path / "agent.toml")
    assert config.load(None) == config.Config()
    with pytest.raises(ConfigError, match="no such configuration file"):
        config.load(tmp_path / "agent.toml")
    (tmp_path / "agent.toml").write_text("interval_s = 61", "utf-8")
    assert config.load(None).interval_s == 61


def test_it_refuses_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(tmp_path / "agent.toml")


def test_it_prefers_the_command_line_for_the_state_folder() -> None:
    assert config.state_dir(config.Config(state_dir="/b"), "/a") == Path("/a")
    assert config.state_dir(config.Config(state_dir="/b"), None) == Path("/b")
    assert config.state_dir(config.Config(), None) == config.default_state_dir()


def test_it_shows_every_setting_with_its_default_in_the_example() -> None:
    example = Path(__file__).parents[2] / "agents" / "packaging" / "agent.toml"
    lines = [
        line.removeprefix("#")
        for line in example.read_text("utf-8").splitlines()
        if line[:1] == "#" and line[1:2] != " "
    ]
    read = config.parse("\n".join(lines), "agent.toml")
    assert [line.split(" = ")[0] for line in lines] == list(read.__struct_fields__)
    defaults = config.Config()
    for name in ("interval_s", "timeout_s", "spool_max_bytes", "spool_max_days"):
        assert getattr(read, name) == getattr(defaults, name)
