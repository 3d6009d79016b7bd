"""The agent on a Windows Python, against the whole collector over TLS. Needs the Windows testbed."""

from __future__ import annotations

import hashlib
import os
import subprocess  # noqa: TID251 — another Python, on another system
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa

from secmon.store.schema import hosts, results, section_versions
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


def test_it_enrolls_and_reports_what_it_can_read_there(tmp_path: Path) -> None:
    with running(tmp_path) as collector:
        host, port = collector.started.ingest
        invitation = Invitation(
            host=host,
            port=port,
            ca_sha256=hashlib.sha256(collector.certificates.ca_der).digest(),
            token=BareAgent(collector).token(),
        )
        state = f"C:\\secmon-{uuid.uuid4().hex}"

        assert "enrolled" in windows("--state-dir", state, "enroll", str(invitation))
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
