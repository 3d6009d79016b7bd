"""What Windows demands of a local account's new password; on a member of a domain, domain accounts follow the domain.

Whether complexity is demanded stands nowhere that can be read safely, so `min_classes` stays undetermined.
"""

from __future__ import annotations

from typing import Final

from secmon_agent.facts import PasswordPolicy
from secmon_agent.host import Host
from secmon_agent.probes.local_security_windows import FOR_EVER, error_of, local_security
from secmon_agent.questions.local_security import LocalSecurity, Rules

_DAY_S: Final = 86_400
_NEVER_DAYS: Final = 99_999


def password_policy_windows(host: Host) -> PasswordPolicy:
    """Source: NetUserModalsGet, levels 0 and 3.

    Rights: none on the machine itself; denied where Windows refuses to tell.
    """
    return policy_of(local_security(host))


def policy_of(found: LocalSecurity) -> PasswordPolicy:
    if not isinstance(found.rules, Rules):
        raise error_of(found, "rules")
    rules = found.rules
    return PasswordPolicy(
        min_length=rules.min_length,
        history=rules.history,
        max_age_days=_NEVER_DAYS if rules.max_age_s in (0, FOR_EVER) else rules.max_age_s // _DAY_S,
        lockout_threshold=rules.lockout_threshold,
        lockout_duration_s=0 if rules.lockout_duration_s == FOR_EVER else rules.lockout_duration_s,
    )
