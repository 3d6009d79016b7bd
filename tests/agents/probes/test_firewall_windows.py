"""The Windows firewall: policy, own settings, the running service, and other makers' firewalls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import UNSET

from secmon_agent import collect
from secmon_agent.facts import Firewall
from secmon_agent.host import Host
from secmon_agent.probes.firewall_windows import firewall_windows
from secmon_agent.questions.firewall import FirewallAnswer, Profile, Registered
from secmon_agent.recorded import recorded_host
from secmon_agent.registry import HKLM, RecordedRegistry, Written
from secmon_agent.system import Recording
from tests.agents.probes.windows_made import answering

HOST = Path(__file__).parents[2] / "hosts/windows-11-ja"
POLICY = HKLM + r"\SOFTWARE\Policies\Microsoft\WindowsFirewall"
LOCAL = HKLM + r"\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy"
SERVICE: dict[str, dict[str, Written]] = {HKLM + r"\SYSTEM\CurrentControlSet\Services\MpsSvc": {"Start": 2}}
ALL_ON: dict[str, dict[str, Written]] = {
    f"{LOCAL}\\{name}": {"EnableFirewall": 1} for name in ("DomainProfile", "StandardProfile", "PublicProfile")
}
TREND_ON = Registered(name="ウイルスバスター", guid="{1}", state=0x41010)
TREND_OFF = Registered(name="ウイルスバスター", guid="{1}", state=0x40010)


def _running(*states: tuple[str, int, int]) -> FirewallAnswer:
    return FirewallAnswer(profiles=tuple(Profile(name=name, enabled=it, inbound=to) for name, it, to in states))


def _found(
    registry: dict[str, dict[str, Written]],
    answer: FirewallAnswer | None = None,
    running: dict[str, bool] | None = None,
) -> Firewall:
    host = recorded_host(HOST)
    host.registry = RecordedRegistry(SERVICE | registry)
    return firewall_windows(answering(host, answer, {"MpsSvc": True} if running is None else running))


def _profile(found: Firewall, name: str) -> tuple[object, object, object]:
    assert not isinstance(found.profiles, type(UNSET))
    (it,) = [it for it in found.profiles if it.name == name]
    return it.enabled, it.inbound, it.source


@pytest.mark.parametrize(
    ("policy", "local", "expected"),
    [
        (None, {"EnableFirewall": 1}, (True, "block", "local")),
        (None, {"EnableFirewall": 0}, (False, "block", "local")),
        ({"EnableFirewall": 0}, {"EnableFirewall": 1}, (False, "block", "policy")),
        ({"EnableFirewall": 1}, {"EnableFirewall": 0}, (True, "block", "policy")),
        ({"EnableFirewall": 1, "DefaultInboundAction": 0}, {}, (True, "allow", "policy")),
        ({"DefaultInboundAction": 1}, {"EnableFirewall": 1, "DefaultInboundAction": 0}, (True, "block", "local")),
        ({"DefaultInboundAction": 7}, {"EnableFirewall": "yes"}, (UNSET, UNSET, UNSET)),
        (None, {}, (UNSET, UNSET, UNSET)),
    ],
)
def test_a_policy_hides_the_machines_own_setting(
    policy: dict[str, Written] | None, local: dict[str, Written], expected: tuple[object, ...]
) -> None:
    keys = {rf"{LOCAL}\StandardProfile": local} | ({} if policy is None else {rf"{POLICY}\PrivateProfile": policy})
    assert _profile(_found(keys), "private") == expected


@pytest.mark.parametrize(
    ("said", "policy", "expected"),
    [
        (("Public", 0, 4), {}, (False, "block", "effective")),
        (("Public", 1, 2), {}, (True, "allow", "effective")),
        (("Public", 2, 0), {}, (True, "block", "local")),
        (("Public", 1, 4), {"EnableFirewall": 1}, (True, "block", "effective")),
        (("Public", 1, 4), {"EnableFirewall": 0}, (UNSET, UNSET, UNSET)),
        (("Public", 1, 4), {"EnableFirewall": 1, "DefaultInboundAction": 0}, (True, UNSET, "effective")),
        (("パブリック", 0, 4), {}, (True, "block", "local")),
    ],
)
def test_the_running_firewall_knows_best_unless_a_policy_contradicts_it(
    said: tuple[str, int, int], policy: dict[str, Written], expected: tuple[object, ...]
) -> None:
    keys = ALL_ON | {rf"{POLICY}\PublicProfile": policy}
    assert _profile(_found(keys, _running(said)), "public") == expected


BY_POLICY: dict[str, dict[str, Written]] = {
    rf"{POLICY}\{name}Profile": {"EnableFirewall": 1} for name in ("Domain", "Private", "Public")
}


@pytest.mark.parametrize(
    ("change", "running", "filtering"),
    [
        ({}, {"MpsSvc": True}, UNSET),
        (BY_POLICY, {"MpsSvc": True}, True),
        (BY_POLICY, {"MPSSVC": True}, True),
        (BY_POLICY | {rf"{LOCAL}\DomainProfile": {"DefaultInboundAction": 7}}, {"MpsSvc": True}, UNSET),
        ({}, {"mpssvc": False}, False),
        ({}, {"wuauserv": True}, UNSET),
        ({rf"{LOCAL}\DomainProfile": {"EnableFirewall": 0}}, {"MpsSvc": True}, False),
        ({rf"{LOCAL}\DomainProfile": {}}, {"MpsSvc": True}, UNSET),
        ({rf"{LOCAL}\DomainProfile": {}}, {"MpsSvc": False}, False),
        ({rf"{POLICY}\PublicProfile": {"DefaultInboundAction": 0}}, {"MpsSvc": True}, False),
    ],
)
def test_it_filters_only_where_the_service_runs_and_every_profile_blocks(
    change: dict[str, dict[str, Written]], running: dict[str, bool], filtering: object
) -> None:
    assert _found(ALL_ON | change, running=running).filtering is filtering


@pytest.mark.parametrize(
    ("product", "filtering"),
    [(TREND_ON, UNSET), (TREND_OFF, False), (Registered(name="Windows Firewall", guid="", state=0x61100), False)],
)
def test_another_makers_firewall_leaves_open_what_windows_own_does_not_do(
    product: Registered, filtering: object
) -> None:
    off = ALL_ON | {rf"{LOCAL}\PublicProfile": {"EnableFirewall": 0}}
    assert _found(off, FirewallAnswer(products=(product,))).filtering is filtering
    assert _found(ALL_ON | BY_POLICY, FirewallAnswer(products=(product,))).filtering is True


def test_it_starts_with_windows_or_not() -> None:
    assert _found(ALL_ON).persistent is True
    assert _found(ALL_ON | {HKLM + r"\SYSTEM\CurrentControlSet\Services\MpsSvc": {"Start": 4}}).persistent is False


def test_without_the_right_to_ask_for_services_it_does_not_say_that_it_filters(
    changed_host: Callable[..., Host],
) -> None:
    found = firewall_windows(changed_host("windows-11-ja", system=Recording()))
    assert (found.backend, found.filtering, found.persistent) == ("windows", UNSET, True)


def test_where_nothing_speaks_of_a_firewall_nothing_is_told() -> None:
    host = recorded_host(HOST)
    host.registry = RecordedRegistry({HKLM + r"\SOFTWARE": {}})
    answer = collect.collect(answering(host, FirewallAnswer(profiles=()), {"wuauserv": True}), ["firewall"])["firewall"]
    assert answer.status == "unsupported"
