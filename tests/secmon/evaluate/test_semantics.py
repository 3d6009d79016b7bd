"""What an answer means: the rules of judgement, each on a check written for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from secmon.evaluate.judge import evaluate
from secmon.evaluate.model import Machine, SectionState, Verdict
from secmon.evaluate.ruleset import load_rules

NOW = datetime(2026, 11, 20, tzinfo=UTC)
Write = Callable[..., Path]


def ok(**facts: object) -> SectionState:
    return SectionState(status="ok", facts=facts)


def gone(status: str, reason: str = "") -> SectionState:
    return SectionState(status=status, reason=reason)


def machine(
    age: timedelta | None = timedelta(0),
    zone: str | None = "lgwan",
    attributes: Mapping[str, str] | None = None,
    **sections: SectionState,
) -> Machine:
    observed_at = None if age is None else NOW - age
    return Machine(sections=sections, observed_at=observed_at, zone=zone, attributes=attributes or {})


def judged(folder: Path, subject: Machine) -> Verdict:
    (verdict,) = evaluate(load_rules(folder), subject, NOW)
    return verdict


def test_it_passes_and_fails_by_the_condition_and_tells_what_it_read(write_check: Write) -> None:
    folder = write_check()

    assert judged(folder, machine(firewall=ok(filtering=True))).status == "pass"
    failing = judged(folder, machine(firewall=ok(filtering=False)))
    assert (failing.status, failing.evidence) == ("fail", "firewall.filtering = false")


def test_a_section_that_was_never_reported_is_unknown(write_check: Write) -> None:
    verdict = judged(write_check(), machine())

    assert (verdict.status, verdict.reason) == ("unknown", "firewall never reported")


@pytest.mark.parametrize("status", ["denied", "failed", "unsupported", "undecodable", "something-new"])
def test_an_unreadable_section_is_unknown_with_its_reason(write_check: Write, status: str) -> None:
    verdict = judged(write_check(), machine(firewall=gone(status, "no right to read it")))

    assert (verdict.status, verdict.reason) == ("unknown", f"firewall {status}: no right to read it")


@pytest.mark.parametrize("answer", ["pass", "fail", "unknown", "not_applicable"])
def test_an_absent_section_gives_what_the_check_says(write_check: Write, answer: str) -> None:
    verdict = judged(write_check(when_absent=answer), machine(firewall=gone("absent", "no such thing")))

    assert (verdict.status, verdict.reason) == (answer, "firewall absent: no such thing")


def test_an_unreadable_section_weighs_more_than_an_absent_one(write_check: Write) -> None:
    folder = write_check(pass_="firewall.filtering && boot.secure_boot", when_absent="pass")

    verdict = judged(folder, machine(boot=gone("absent"), firewall=gone("denied")))

    assert (verdict.status, verdict.reason) == ("unknown", "firewall denied")


def test_a_missing_field_is_unknown_and_named(write_check: Write) -> None:
    verdict = judged(write_check(), machine(firewall=ok(backend="nftables")))

    assert (verdict.status, verdict.reason) == ("unknown", "firewall.filtering not determined")


def test_a_missing_field_cannot_turn_into_an_answer_through_not(write_check: Write) -> None:
    verdict = judged(write_check(pass_='"!firewall.filtering"'), machine(firewall=ok()))

    assert verdict.status == "unknown"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("firewall.filtering || firewall.persistent", "pass"),
        ("firewall.persistent || firewall.filtering", "pass"),
        ("firewall.filtering && firewall.persistent", "unknown"),
        ("firewall.persistent && firewall.filtering", "unknown"),
        ("firewall.persistent && !firewall.filtering", "fail"),
        ("firewall.persistent || !firewall.filtering", "unknown"),
        ("firewall.persistent == firewall.persistent", "unknown"),
        ("firewall.filtering ? firewall.filtering : firewall.persistent", "pass"),
        ("firewall.persistent ? true : true", "unknown"),
    ],
)
def test_only_a_side_that_decides_alone_can_do_without_the_other(
    write_check: Write, condition: str, expected: str
) -> None:
    folder = write_check(pass_=f'"{condition}"')

    assert judged(folder, machine(firewall=ok(filtering=True))).status == expected


def test_facts_older_than_the_limit_are_stale_at_the_limit_they_are_not(write_check: Write) -> None:
    folder = write_check()

    at_limit = judged(folder, machine(age=timedelta(days=14), firewall=ok(filtering=True)))
    beyond = judged(folder, machine(age=timedelta(days=14, seconds=1), firewall=ok(filtering=True)))

    assert at_limit.status == "pass"
    assert (beyond.status, beyond.reason) == ("unknown", "stale")


def test_a_failure_goes_stale_too(write_check: Write) -> None:
    verdict = judged(write_check(), machine(age=timedelta(days=15), firewall=ok(filtering=False)))

    assert (verdict.status, verdict.reason) == ("unknown", "stale")


def test_a_machine_that_never_reported_is_stale(write_check: Write) -> None:
    verdict = judged(write_check(), machine(age=None, firewall=ok(filtering=True)))

    assert (verdict.status, verdict.reason) == ("unknown", "stale")


def test_a_check_that_reads_no_facts_does_not_go_stale(write_check: Write) -> None:
    folder = write_check(pass_="'\"zone\" in attributes'", when_absent=None)

    assert judged(folder, machine(age=None, attributes={"zone": "lgwan"})).status == "pass"
    assert judged(folder, machine(age=None)).status == "fail"


def test_only_what_is_determined_not_to_apply_is_not_applicable(write_check: Write) -> None:
    folder = write_check(applies='os.family == "linux"')
    wall = ok(filtering=True)

    other = judged(folder, machine(os=ok(family="windows"), firewall=wall))
    undetermined = judged(folder, machine(os=ok(id="debian"), firewall=wall))
    unreported = judged(folder, machine(firewall=wall))

    assert (other.status, other.reason) == ("not_applicable", 'not: os.family == "linux"')
    assert (undetermined.status, undetermined.reason) == ("unknown", "os.family not determined")
    assert (unreported.status, unreported.reason) == ("unknown", "os never reported")


def test_what_does_not_apply_needs_no_facts_of_the_check_itself(write_check: Write) -> None:
    folder = write_check(applies='os.family == "linux" && firewall.persistent')

    assert judged(folder, machine(os=ok(family="windows"))).status == "not_applicable"


def test_an_absent_section_in_applies_gives_what_the_check_says(write_check: Write) -> None:
    folder = write_check(applies='boot.firmware == "uefi"')

    verdict = judged(folder, machine(boot=gone("absent", "a container"), firewall=ok(filtering=False)))

    assert (verdict.status, verdict.reason) == ("not_applicable", "boot absent: a container")


def test_without_fresh_data_there_is_no_answer(write_check: Write) -> None:
    folder = write_check(
        pass_="patches.automatic",
        requires_fresh="days_since(patches.lists_updated_at) <= limits.days",
        limits="{days: {default: 7}}",
    )

    def at(days: float) -> Verdict:
        return judged(folder, machine(patches=ok(automatic=True, lists_updated_at=NOW - timedelta(days=days))))

    assert at(7).status == "pass"
    assert (at(7.01).status, at(7.01).reason) == ("unknown", "not fresh: patches.lists_updated_at")
    assert at(-2).reason == "2026-11-22 lies in the future"
    undetermined = judged(folder, machine(patches=ok(automatic=True)))
    assert undetermined.reason == "patches.lists_updated_at not determined"


def test_limits_follow_the_zone_and_without_one_the_strictest_holds(write_check: Write) -> None:
    most = write_check(
        pass_="password_policy.lockout_threshold <= limits.tries",
        limits="{tries: {default: 10, lgwan: 20, mynumber: 5}}",
    )

    def status(zone: str | None, tries: int) -> str:
        return judged(most, machine(zone=zone, password_policy=ok(lockout_threshold=tries))).status

    assert [status("lgwan", 20), status("lgwan", 21)] == ["pass", "fail"]
    assert [status("school", 10), status("school", 11)] == ["pass", "fail"]
    assert [status(None, 5), status(None, 6)] == ["pass", "fail"]


def test_the_strictest_limit_may_be_the_largest(write_check: Write) -> None:
    least = write_check(
        pass_="password_policy.min_length >= limits.characters",
        limits="{characters: {default: 8, mynumber: 12, strictest: max}}",
    )

    assert judged(least, machine(zone=None, password_policy=ok(min_length=11))).status == "fail"
    assert judged(least, machine(zone=None, password_policy=ok(min_length=12))).status == "pass"


def ports(*found: tuple[int, bool | None]) -> SectionState:
    """Ports with their process, which stands for what a condition wants to know of them."""
    listening = [
        {"protocol": "tcp", "address": "0.0.0.0", "port": port, "reach": "network"}
        | ({} if good is None else {"process": "good" if good else "bad"})
        for port, good in found
    ]
    return ok(listening=listening)


@pytest.fixture
def list_check(write_check: Write) -> Path:
    return write_check(
        items="ports.listening", key='item.protocol + "/" + string(item.port)', pass_='item.process == "good"'
    )


def test_a_list_fails_by_one_failing_element_and_names_it(list_check: Path) -> None:
    verdict = judged(list_check, machine(ports=ports((22, True), (23, False), (21, False))))

    assert verdict.status == "fail"
    assert [(item.key, item.status, item.evidence) for item in verdict.items] == [
        ("tcp/21", "fail", "process = bad"),
        ("tcp/23", "fail", "process = bad"),
    ]


def test_an_element_without_an_answer_is_an_unknown_item_and_hides_no_failing_one(list_check: Path) -> None:
    both = judged(list_check, machine(ports=ports((22, None), (23, False))))
    alone = judged(list_check, machine(ports=ports((22, None), (23, True))))

    assert (both.status, [item.status for item in both.items]) == ("fail", ["unknown", "fail"])
    assert (alone.status, alone.reason) == ("unknown", "ports.listening[].process not determined")
    assert alone.items[0].reason == "ports.listening[].process not determined"


def test_an_empty_list_passes_and_a_missing_one_is_unknown(list_check: Path) -> None:
    assert judged(list_check, machine(ports=ports())).status == "pass"
    assert judged(list_check, machine(ports=ok())).reason == "ports.listening not determined"


def test_elements_under_one_key_are_one_item_with_the_worse_answer(write_check: Write) -> None:
    folder = write_check(
        items="ports.listening", key="item.protocol", pass_='item.process == "good"', evidence="string(item.port)"
    )

    verdict = judged(folder, machine(ports=ports((1, None), (2, False), (3, True), (4, False))))

    assert [(item.key, item.status, item.evidence) for item in verdict.items] == [("tcp", "fail", "2; 4")]


def test_a_filter_without_an_answer_is_an_unknown_item_unless_another_filter_leaves_it_out(write_check: Write) -> None:
    folder = write_check(
        items='ports.listening.filter(a, a.process == "bad").filter(b, b.port < 1024)',
        key="string(item.port)",
        pass_="false",
    )

    verdict = judged(folder, machine(ports=ports((22, None), (8000, None), (23, False), (24, True), (9000, False))))

    assert [(item.key, item.status) for item in verdict.items] == [("22", "unknown"), ("23", "fail")]


def test_a_port_is_open_unless_its_firewall_is_known_to_let_nobody_in(write_check: Write) -> None:
    folder = write_check(
        items='ports.listening.filter(port, port.reach == "network")',
        key="string(item.port)",
        pass_="item.port == 1",
        spared='item.firewall == "blocked"',
    )
    open_ = {"reach": "network", "protocol": "tcp", "address": "::"}
    known = {22: "allowed", 23: "restricted", 24: "blocked", 25: None}
    listening = [open_ | {"port": port} | ({"firewall": word} if word else {}) for port, word in known.items()]
    unread = {"port": 27, "firewall": "blocked"}
    local = {**open_, "port": 26, "reach": "loopback"}

    verdict = judged(folder, machine(ports=SectionState(status="ok", facts={"listening": [*listening, local, unread]})))

    assert [(it.key, it.status, it.reason) for it in verdict.items] == [
        ("22", "fail", ""),
        ("23", "fail", ""),
        ("25", "fail", ""),
        ("27", "unknown", "ports.listening[].reach not determined"),
    ]


def test_a_check_that_passes_only_since_something_is_spared_says_so(write_check: Write) -> None:
    folder = write_check(
        items="ports.listening", key="string(item.port)", pass_="item.port == 1", spared='item.firewall == "blocked"'
    )
    shut = {"port": 24, "firewall": "blocked"}

    def of(*listening: object) -> Verdict:
        return judged(folder, machine(ports=SectionState(status="ok", facts={"listening": listening})))

    assert (of(shut).status, of(shut).evidence) == ("pass", "firewall = blocked, port = 24")
    assert of(shut, {"port": 25}).evidence == ""
    assert of({"port": 1, "firewall": "blocked"}).evidence == ""


def test_all_and_exists_answer_when_one_element_decides_whatever_the_order(write_check: Write) -> None:
    exists = write_check(pass_="ports.listening.exists(port, port.process == 'good')")
    for order in ([(1, None), (2, True)], [(2, True), (1, None)]):
        assert judged(exists, machine(ports=ports(*order))).status == "pass"
    assert judged(exists, machine(ports=ports((1, None), (2, False)))).status == "unknown"

    every = write_check(pass_="ports.listening.all(port, port.process == 'good')")
    for order in ([(1, None), (2, False)], [(2, False), (1, None)]):
        assert judged(every, machine(ports=ports(*order))).status == "fail"
    assert judged(every, machine(ports=ports((1, None), (2, True)))).status == "unknown"


def test_evidence_that_cannot_be_told_changes_no_answer(write_check: Write) -> None:
    folder = write_check(evidence="firewall.backend", pass_="firewall.filtering")

    verdict = judged(folder, machine(firewall=ok(filtering=False)))

    assert (verdict.status, verdict.evidence) == ("fail", "firewall.filtering = false")


def test_text_of_a_machine_is_bounded_and_free_of_control_characters(write_check: Write) -> None:
    folder = write_check(items="patches.held", key="item", pass_="false")

    verdict = judged(folder, machine(patches=ok(held=["\x1b[2Jevil\r\nBcc: x", "x" * 5000])))

    assert [item.key for item in verdict.items] == ["x" * 199 + "…", "\ufffd[2Jevil\ufffd\ufffdBcc: x"]


def test_it_evaluates_only_the_checks_that_are_asked_for(write_check: Write) -> None:
    write_check(id="patch.other", file="patch/other.yaml", pass_="boot.secure_boot")
    rules = load_rules(write_check())

    verdicts = evaluate(rules, machine(), NOW, rules.touched(["boot", "nothing"]))

    assert [verdict.check for verdict in verdicts] == ["patch.other"]
    assert evaluate(rules, machine(), NOW, ["patch.gone"]) == []


def test_it_knows_which_checks_time_alone_can_change(write_check: Write) -> None:
    write_check(id="patch.plain", file="patch/plain.yaml")
    write_check(id="patch.now", file="patch/now.yaml", pass_="now > patches.lists_updated_at")
    write_check(
        id="patch.fresh",
        file="patch/fresh.yaml",
        pass_="patches.automatic",
        requires_fresh="days_since(patches.lists_updated_at) < 7",
    )
    rules = load_rules(
        write_check(items="patches.pending", key="item.package", pass_="days_since(item.pending_since) < 5")
    )

    assert rules.time_dependent == {"patch.now", "patch.fresh", "patch.sample"}


def test_a_list_without_end_is_cut_with_the_failing_elements_first(list_check: Path) -> None:
    verdict = judged(list_check, machine(ports=ports(*((port, None if port < 500 else False) for port in range(1500)))))

    assert (verdict.status, verdict.evidence) == ("fail", "1500 items, 1000 of them kept")
    assert {item.status for item in verdict.items} == {"fail"}
    assert [item.key for item in verdict.items] == sorted(item.key for item in verdict.items)


def test_a_check_that_breaks_down_is_unknown_and_stops_no_other(write_check: Write) -> None:
    write_check(id="patch.other", file="patch/other.yaml")
    rules = load_rules(write_check())
    broken = replace(rules.checks["patch.other"].pass_, run=lambda _: 1 // 0)
    checks = {**rules.checks, "patch.other": replace(rules.checks["patch.other"], pass_=broken)}

    verdicts = evaluate(replace(rules, checks=checks), machine(firewall=ok(filtering=True)), NOW)

    assert [(it.status, it.reason) for it in verdicts] == [
        ("unknown", "judging failed: ZeroDivisionError"),
        ("pass", ""),
    ]


@pytest.mark.parametrize(
    ("condition", "name", "answer"),
    [
        ("['Any', 'Team'].exists(x, os.name.startsWith(x))", "TeamViewer", "pass"),
        ("['Any', 'Team'].exists(x, os.name.startsWith(x))", "My TeamViewer", "fail"),
        ("['Any', 'Team'].exists(x, os.name.startsWith(x))", None, "unknown"),
        ("['Any', 'Viewer'].exists(x, os.name.endsWith(x))", "TeamViewer", "pass"),
        ("['Any', 'Team'].all(x, os.name.startsWith(x))", "TeamViewer", "fail"),
        ("['Any', 'Team'].exists(x, x.startsWith(os.name))", "T", "pass"),
        ("['Any', 'Team'].exists(x, (os.name + x).endsWith(x))", "", "pass"),
    ],
)
def test_a_list_of_beginnings_is_asked_as_any_other_list(
    write_check: Write, condition: str, name: str | None, answer: str
) -> None:
    folder = write_check(pass_=f'"{condition}"')

    assert judged(folder, machine(os=ok(**({} if name is None else {"name": name})))).status == answer
