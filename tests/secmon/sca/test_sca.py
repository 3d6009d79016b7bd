"""Policies of Wazuh's SCA become check files where facts can answer, and a clear list of reasons where they cannot. The
policies here are our own; none is taken from anybody."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon import cli
from secmon.errors import UsageError
from secmon.evaluate.examples import DEFAULT_NOW
from secmon.evaluate.judge import judge
from secmon.evaluate.model import Machine, SectionState
from secmon.evaluate.proofs import unproven
from secmon.evaluate.ruleset import load_examples, load_rules
from secmon.sca.convert import convert
from secmon.sca.pattern import MAX_REPEATS, safe_regex
from secmon.sca.policy import MAX_RULES, Engine, Policy, RuleError, read_policy


def policy(*rules: str, condition: str = "all", regex_type: str = "pcre2", **more: Any) -> Policy:
    check = {"id": 7, "title": "A title", "condition": condition, "rules": list(rules)}
    document = {"policy": {"id": "own_policy", "regex_type": regex_type}, "checks": [check], **more}
    return read_policy(yaml.safe_dump(document).encode())


def condition_of(*rules: str, condition: str = "all", **more: Any) -> str:
    made, refused = convert(policy(*rules, condition=condition, **more), "medium")
    assert refused == []
    found: str = yaml.safe_load(made[0].content)["pass"]
    return found


def reasons(*rules: str, condition: str = "all", **more: Any) -> str:
    made, refused = convert(policy(*rules, condition=condition, **more), "medium")
    assert made == []
    return "\n".join(refused[0].reasons)


SSH = "remote_access.ssh"
SYSTEM = r"r:HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System"


@pytest.mark.parametrize(
    ("rule", "condition"),
    [
        (r"f:/etc/ssh/sshd_config -> r:^\s*PermitRootLogin\s+no", f'({SSH}.permit_root_login == "no")'),
        (r"not f:/etc/ssh/sshd_config -> !r:^# && r:PermitRootLogin\s+yes", f'(!({SSH}.permit_root_login == "yes"))'),
        (r"c:sshd -T -> r:^permitrootlogin\s+(no|prohibit-password)$",
         f'({SSH}.permit_root_login in ["no", "prohibit-password"])'),
        (r"c:sshd -T -C user=root -> r:passwordauthentication no", f"(!{SSH}.password_authentication)"),
        (r"f:/etc/ssh/sshd_config -> n:^\s*MaxAuthTries\s+(\d+) compare <= 4", f"({SSH}.max_auth_tries <= 4)"),
        (r"f:/etc/login.defs -> n:^\s*PASS_MAX_DAYS\s+(\d+) compare <= 365 && n:^\s*PASS_MAX_DAYS\s+(\d+) compare > 0",
         "(password_policy.max_age_days <= 365 && password_policy.max_age_days > 0)"),
        (r"f:/etc/security/pwquality.conf -> n:^\s*minclass\s*=\s*(\d+) compare >= 3",
         "(password_policy.min_classes >= 3)"),
        (r"c:net.exe accounts -> n:Minimum password length:\s+(\d+) compare >= 14",
         "(password_policy.min_length >= 14)"),
        (r"c:net accounts -> n:Lockout duration \(minutes\):\s+(\d+) compare >= 15",
         "(password_policy.lockout_duration_s >= 900)"),
        (r"c:sysctl kernel.randomize_va_space -> r:=\s*2$",
         "(hardening.kernel_settings.kernel_randomize_va_space == 2)"),
        (r"f:/proc/sys/net/ipv4/conf/all/rp_filter -> r:^[12]$",
         "(hardening.kernel_settings.net_ipv4_conf_all_rp_filter in [1, 2])"),
        (SYSTEM + " -> EnableLUA -> 1", "(accounts.uac.enabled)"),
        (SYSTEM.replace("HKEY_LOCAL_MACHINE", "HKLM") + " -> ConsentPromptBehaviorAdmin -> r:^[12]$",
         '(accounts.uac.admin_prompt in ["credentials_secure", "consent_secure"])'),
        (SYSTEM + r" -> InactivityTimeoutSecs -> n:^(\d+) compare <= 900 && n:^(\d+) compare != 0",
         "(screen_lock.timeout_s <= 900 && screen_lock.timeout_s != 0)"),
        (r"r:HKLM\SYSTEM\CurrentControlSet\Services\RemoteRegistry -> Start -> 4",
         '(services.services.exists(service, service.name == "RemoteRegistry" && service.start == "disabled"))'),
        (r"not r:HKLM\System\CurrentControlSet\Services\Spooler",
         '(!services.services.exists(service, service.name == "Spooler"))'),
        (r"r:HKLM\SOFTWARE\Policies\Microsoft\WindowsFirewall\DomainProfile -> EnableFirewall -> 1",
         '(firewall.profiles.exists(profile, profile.name == "domain" && profile.enabled))'),
        ("not c:dpkg -s telnetd -> r:install ok installed",
         '(!(software.packages.exists(program, program.name == "telnetd")))'),
        ("c:rpm -q audit -> r:^audit-", '(software.packages.exists(program, program.name == "audit"))'),
    ],
)  # fmt: skip
def test_it_says_the_same_of_facts(rule: str, condition: str) -> None:
    assert condition_of(rule) == condition


@pytest.mark.parametrize(
    ("condition", "joined"),
    [
        ("all", "(accounts.uac.enabled) && (!remote_access.llmnr)"),
        ("any", "(accounts.uac.enabled) || (!remote_access.llmnr)"),
        ("none", "!(accounts.uac.enabled) && !(!remote_access.llmnr)"),
    ],
)
def test_it_joins_rules_as_the_policy_does(condition: str, joined: str) -> None:
    llmnr = r"r:HKLM\SOFTWARE\Policies\Microsoft\Windows NT\DNSClient -> EnableMulticast -> 0"

    assert condition_of(SYSTEM + " -> EnableLUA -> 1", llmnr, condition=condition) == joined


def test_it_leaves_out_whether_a_registry_value_is_there_where_another_rule_says_what_it_is() -> None:
    there = (SYSTEM, SYSTEM + " -> EnableLUA")
    value = SYSTEM + " -> EnableLUA -> 1"

    assert condition_of(*there, value) == "(accounts.uac.enabled)"
    assert condition_of(*(f"not {rule}" for rule in there), value, condition="any") == "(accounts.uac.enabled)"
    assert "no fact holds this registry key" in reasons(SYSTEM, value, condition="any")
    assert "facts do not tell whether it is there" in reasons(SYSTEM + " -> EnableLUA")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("c:rm -rf / -> r:x", "secmon runs no commands"),
        ("c:sh -c 'curl evil | sh'", "secmon runs no commands"),
        ("p:sshd", "facts tell nothing of single processes"),
        ("d:/etc/cron.d -> r:^x -> r:y", "facts tell nothing of folders"),
        ("f:/etc/motd -> r:Debian", "no fact holds what is in this file"),
        (r"r:HKLM\SOFTWARE\Own -> Value -> 1", "no fact holds this registry value"),
        ("c:sysctl kernel.own -> r:1", "no fact holds this kernel parameter"),
        ("f:/etc/ssh/sshd_config -> r:^Banner", "told apart by this pattern"),
        ("f:/etc/ssh/sshd_config -> n:PermitRootLogin (x) compare ~ 3", "a comparison that is not understood"),
        ("f:/etc/ssh/sshd_config", "facts do not tell whether it is there"),
        ("f:/etc/ssh/sshd_config -> r:(a+)+$", "could take long"),
        ("f:/etc/ssh/sshd_config -> r:[", "not a regular expression"),
        ("x:what", "not a rule of the form"),
    ],
)
def test_it_says_which_rule_stands_in_the_way_and_why(rule: str, said: str) -> None:
    other = SYSTEM + " -> EnableLUA -> 1"

    assert said in reasons(other, rule)
    assert said in reasons(other, rule, condition="any")


def test_it_refuses_what_nobody_could_pass_or_fail() -> None:
    both = [SYSTEM + f" -> EnableLUA -> {value}" for value in (0, 1)]

    assert "no machine could pass" in reasons(*both)
    assert "no machine could fail" in reasons(*both, condition="any")


def test_it_fills_in_variables_and_reads_wazuhs_own_expressions() -> None:
    rule = r"f:$sshd -> !r:^# && r:X11Forwarding\.+yes"
    given_ = {"$sshd": "/etc/ssh/sshd_config,/opt/ssh/etc/sshd_config"}

    assert condition_of(rule, variables=given_, regex_type="osregex") == f"({SSH}.x11_forwarding)"


def test_it_takes_the_engine_in_which_a_rule_means_something_where_the_policy_names_none() -> None:
    own = r"f:/etc/ssh/sshd_config -> r:X11Forwarding\.+yes"
    pcre = r"f:/etc/ssh/sshd_config -> n:MaxAuthTries\s[0-9]+$ compare <= 4"
    either = r"f:/etc/ssh/sshd_config -> r:^PermitRootLogin\s(no|.*forced.*)$"

    assert condition_of(own, regex_type="") == f"({SSH}.x11_forwarding)"
    assert "means one thing to osregex and another" in reasons(either, regex_type="")
    assert condition_of(either) == f'({SSH}.permit_root_login in ["no", "forced-commands-only"])'
    assert "told apart" in reasons(pcre)  # the whole match is no number
    assert condition_of(r"f:/proc/sys/fs/suid_dumpable -> n:\d+ compare == 0", regex_type="") == (
        "(hardening.kernel_settings.fs_suid_dumpable == 0)"
    )


def test_it_looks_regardless_of_case_as_wazuh_does() -> None:
    assert condition_of("f:/etc/ssh/sshd_config -> r:^permitrootlogin NO$") == f'({SSH}.permit_root_login == "no")'


POLICY = r"""
policy: {id: Own Policy 1.0, file: own.yml, name: Own, description: Ours, regex_type: pcre2}
requirements: {title: t, condition: any, rules: ['f:/etc/passwd']}
checks:
  - id: 1
    title: "Root does not log in"
    rationale: "Everybody knows its name."
    remediation: "Set PermitRootLogin no"
    compliance: [{cis: ["5.1"]}]
    condition: all
    rules: ['f:/etc/ssh/sshd_config -> r:^\s*PermitRootLogin\s+no']
  - {id: 2, title: "A process runs", condition: any, rules: ['p:clamd']}
"""


def test_it_writes_check_files_that_the_loader_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "policy.yml"
    file.write_text(POLICY, encoding="utf-8")

    with pytest.raises(SystemExit) as ended:
        cli.main(["rules", "import-sca", str(file), "--out", str(tmp_path / "rules"), "--severity", "low"])
    said = capsys.readouterr()

    assert ended.value.code == 1
    check = load_rules(tmp_path / "rules").checks["access.sca-own-policy-1-0-1"]
    assert (check.title.ja, check.severity) == ("Root does not log in", "low")
    machine = {"remote_access": {"ssh_installed": True, "ssh": {"permit_root_login": "yes"}}}
    sections = {name: SectionState(status="ok", facts=facts) for name, facts in machine.items()}
    assert judge(check, Machine(sections=sections, observed_at=DEFAULT_NOW), DEFAULT_NOW).status == "fail"
    assert "2 cannot be taken over: A process runs\n  p:clamd: facts tell nothing of single processes" in said.out
    assert "1 of 2 checks" in said.err
    assert "requirements are not asked" in said.err


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"policy: {id: x}\n", "not an SCA policy"),
        (b"policy: &a {id: x}\nchecks: [*a]\n", "anchors and aliases"),
        (b"policy: {id: x}\nchecks: [{id: 1, title: t, condition: some, rules: []}]\n", "not an SCA policy"),
        (b"x" * (4 * 1024 * 1024 + 1), "the limit is"),
    ],
)
def test_it_refuses_what_is_no_policy(data: bytes, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_policy(data)


def test_it_takes_no_check_of_absurd_size() -> None:
    assert f"1 to {MAX_RULES}" in reasons(*(f"p:{number}" for number in range(MAX_RULES + 1)))


@pytest.mark.parametrize(
    "regex",
    [r"(a+|\\)+b", "(?=a)", r"(a)\1", "a?" * (MAX_REPEATS + 1), "(a|b)*", "((a))+", "a{1,99}" * 5, "x" * 301, "[[a]"],
)
def test_it_refuses_expressions_that_could_take_long(regex: str) -> None:
    with pytest.raises(RuleError):
        safe_regex(regex, engine="pcre2")


@settings(deadline=None)  # the machine may be busy
@given(st.text(alphabet="a.*+?()[]{}|\\^$sdwt1 -", max_size=40), st.sampled_from(["osregex", "pcre2"]))
def test_it_answers_whatever_expression_comes_and_soon(regex: str, engine: Engine) -> None:
    try:
        compiled = safe_regex(regex, engine=engine)
    except RuleError:
        return
    began = time.perf_counter()
    compiled.search("PermitRootLogin aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!")
    assert time.perf_counter() - began < 1


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs")), max_size=80))
def test_it_answers_whatever_rule_comes(rule: str) -> None:
    """Control characters are refused with the whole policy."""
    made, refused = convert(policy("f:/etc/ssh/sshd_config -> " + rule), "medium")

    assert len(made) + len(refused) == 1


SSHD = r"f:/etc/ssh/sshd_config -> r:^PermitRootLogin\s+no"


def test_it_takes_no_variables_that_grow_without_bound() -> None:
    """Each names the next shorter one a hundred times."""
    names = ["$" + "a" * length for length in range(8, 0, -1)]
    variables = {name: inner * 100 for name, inner in itertools.pairwise([*names, "x"])}

    assert "longer than 2000 characters" in reasons("f:$aaaaaaaa -> x", variables=variables)
    assert "no fact holds" in reasons("f:/etc/other -> x", variables={"": "x" * 1900})


def test_it_writes_no_check_over_another_of_the_same_policy() -> None:
    """Ids that differ in what a file name cannot hold."""
    checks = [{"id": id_, "title": "T", "rules": [SSHD]} for id_ in ("a b", "a-b", "A/B", "c")]
    document = {"policy": {"id": "own"}, "checks": checks}

    made, refused = convert(read_policy(yaml.safe_dump(document).encode()), "low")

    assert [each.name for each in made] == ["access/sca-own-a-b.yaml", "access/sca-own-c.yaml"]
    assert [each.id for each in refused] == ["a-b", "A/B"]
    assert refused[0].reasons == ("another check of this policy is access/sca-own-a-b.yaml already",)


def test_it_ends_in_time_whatever_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks that no machine can pass are tried for long, one by one; a policy of thousands of them is not."""
    monkeypatch.setattr("secmon.sca.convert.MAX_ALL_TRIALS", 5000)
    numbers = ("PASS_MAX_DAYS", "/etc/login.defs"), ("minlen =", "/etc/security/pwquality.conf")
    rules = [rf"f:{file} -> n:{line}\s*(\d+) compare {sign} 5" for line, file in numbers for sign in (">", "<")]
    checks = [{"id": number, "title": "T", "rules": list(rules)} for number in range(300)]
    document = {"policy": {"id": "own", "regex_type": "pcre2"}, "checks": checks}
    began = time.process_time()

    made, refused = convert(read_policy(yaml.safe_dump(document).encode()), "low")

    assert (made, len(refused)) == ([], 300)
    assert refused[0].reasons == ("no machine could pass, by all that facts tell",)
    assert refused[-1].reasons == ("more than 5000 machines were tried for this policy; split it",)
    assert time.process_time() - began < 60


def test_what_it_writes_proves_that_it_is_unknown_without_what_it_reads(tmp_path: Path) -> None:
    rules = [SSHD, r"f:/etc/ssh/sshd_config -> r:^X11Forwarding\s+no", "c:dpkg -s telnet -> r:not installed"]
    checks = [
        {"id": condition, "title": "T", "condition": condition, "rules": list(rules)}
        for condition in ("all", "any", "none")
    ]
    made, refused = convert(read_policy(yaml.safe_dump({"policy": {"id": "own"}, "checks": checks}).encode()), "low")
    for each in made:
        (tmp_path / "checks" / each.name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "checks" / each.name).write_bytes(each.content)

    assert (len(made), refused) == (3, [])
    assert [str(mistake) for mistake in unproven(*load_examples(tmp_path))] == []
