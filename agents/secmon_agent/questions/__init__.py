"""Questions that are asked in a child process with a time limit: what can hang, crash or leak must not take the agent
along.

`child.py` prints an `Answer` as JSON. A question is a module with a function
`answer() -> Struct`, which raises what a probe raises. Probes ask by `Host.ask`; a recording keeps the answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Raw, Struct

QUESTIONS: Final[Mapping[str, str]] = {
    "antimalware": "secmon_agent.questions.antimalware",
    "audit_policy": "secmon_agent.questions.audit_policy",
    "bitlocker": "secmon_agent.questions.bitlocker",
    "esu": "secmon_agent.questions.esu",
    "firewall": "secmon_agent.questions.firewall",
    "local_security": "secmon_agent.questions.local_security",
    "smbios": "secmon_agent.questions.smbios",
    "tpm": "secmon_agent.questions.tpm",
    "wua": "secmon_agent.questions.wua",
}
"""Module by the name of the question."""


class Answer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the child says on its standard output."""

    status: str
    """As of a section."""
    reason: str = ""
    value: Raw = Raw(b"null")
    """JSON of what `answer()` returned."""
