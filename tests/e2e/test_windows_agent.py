"""The agent on a Windows Python, against the whole collector over TLS. Needs the Windows testbed."""

from __future__ import annotations

import hashlib
import os
import subprocess  # noqa: TID251 — another Python, on another system
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa

from secmon.app import Collector
from secmon.ingest.rotation import ask
from secmon.store.schema import agent_keys, hosts, results, section_versions
from secmon_agent.invitation import Invitation
from tests.support.running import BareAgent, running

CHECKOUT = Path(__file__).parents[2]
TESTBED = CHECKOUT.parent / "shared" / "windows" / "testbed"
READY = Path(os.environ.get("WINDOWS_TESTBED", "/var/tmp/windows-testbed")) / "ready"  # noqa: S108 — where it builds

pytestmark = pytest.mark.skipif(
    not (TESTBED.exists() and READY.exists()), reason="no Windows testbed here: the agent on Windows is not tried"
)


def windows(*arguments: str) -> str:
    """Output of the agent's command on the Windows Python."""
    done = subprocess.run(
        [str(TESTBED), "python", "-m", "secmon_agent", *arguments],
        cwd=CHECKOUT, env={**os.environ, "WINDOWS_PYTHONPATH": "Z:\\src\\agents"},
        capture_output=True, timeout=300, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    return done.stdout.decode(errors="replace")


def enrolled(collector: Collector) -> str:
    """State folder of an agent that is enrolled there."""
    host, port = collector.started.ingest
    invitation = Invitation(
        host=host,
        port=port,
        ca_sha256=hashlib.sha256(collector.certificates.ca_der).digest(),
        token=BareAgent(collector).token(),
    )
    state = f"C:\\secmon-{uuid.uuid4().hex}"
    assert "enrolled" in windows("--state-dir", state, "enroll", str(invitation))
    return state


def test_it_enrolls_and_reports_what_it_can_read_there(tmp_path: Path) -> None:
    with running(tmp_path) as collector:
        state = enrolled(collector)

        assert "1 delivered" in windows("--state-dir", state, "once")
        assert "1 delivered" in windows("--state-dir", state, "once")

        with collector.database.read() as connection:
            sections = {
                row.section: row.status
                for row in connection.execute(
                    sa.select(section_versions.c.section, section_versions.c.status).where(
                        section_versions.c.observed_to.is_(None)
                    )
                )
            }
            answers = {
                row.check_id: row.status
                for row in connection.execute(
                    sa.select(results.c.check_id, results.c.status).where(results.c.observed_to.is_(None))
                )
            }
            assert len(connection.execute(sa.select(hosts)).all()) == 1
    assert {"os", "host", "ports", "interfaces", "software", "services"} <= set(sections)
    assert answers["patch.windows-updates"] == "unknown"
    assert answers["patch.security-updates-overdue"] == "not_applicable"


def test_it_changes_its_key_there(tmp_path: Path) -> None:
    """Where Windows protects the key for this machine."""
    with running(tmp_path) as collector:
        state = enrolled(collector)
        assert "1 delivered" in windows("--state-dir", state, "once")
        with collector.database.write() as connection:
            name = connection.execute(sa.select(hosts.c.name)).scalar_one()
            _, first = ask(connection, name, actor="test", now=collector.clock())

        assert "1 delivered, 1 key changed" in windows("--state-dir", state, "once")
        assert "1 delivered" in windows("--state-dir", state, "once")

        with collector.database.read() as connection:
            (second,) = connection.execute(
                sa.select(agent_keys.c.key_id).where(agent_keys.c.revoked_at.is_(None))
            ).scalars()
        assert second != first.key_id
        assert f"key: {second.hex()}" in windows("--state-dir", state, "status")
