"""Results as OSCAL assessment results 1.1.2 (JSON): a machine is an inventory item, an answer an observation, a check a
finding about an objective. What OSCAL has no word for stands in properties of our own namespace.

A finding is `satisfied` only where no machine in use fails, is excepted or unknown, those that never reported among
them: OSCAL knows no third state, and silence proves nothing. Neither is what somebody accepted: that is a risk of
status `deviation-approved`, with the response `accept`. What is disputed counts as unknown, and its risk is
`investigating`. Machines in storage have observations, and no part in findings. What another scanner said are
observations without a finding.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from secmon import __version__
from secmon.evaluate.model import Item, Language
from secmon.exceptions.borne import Borne
from secmon.export.model import Answer, CheckWords, Export, Machine, Scanned
from secmon.store.hosts import STORED, USE

OSCAL_VERSION: Final = "1.1.2"
NAMESPACE: Final = "urn:secmon:oscal"
_IDS: Final = uuid.UUID("5f3c7a52-3d0b-5b7e-9a41-6f0e5c0a7d11")
"""Names of the same thing give the same id in every export, so that two exports can be compared."""

Json = Mapping[str, object]
_Answered = tuple[Machine, Answer]


def as_oscal(export: Export, language: Language) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document(export, language)), indent=2) + b"\n"


def document(export: Export, language: Language) -> Json:
    plan = _id(export, "rules", export.ruleset)
    return {
        "assessment-results": {
            "uuid": _id(export, "export", export.exported_at.isoformat()),
            "metadata": {
                "title": f"{export.office}: security posture",
                "last-modified": _instant(export.exported_at),
                "version": _instant(export.exported_at),
                "oscal-version": OSCAL_VERSION,
                "props": _props(collector=export.collector_id, generation=export.generation, tool=__version__),
            },
            "import-ap": {"href": f"#{plan}", "remarks": "The rules in force stand in for an assessment plan."},
            "results": [_result(export, language)],
            "back-matter": {
                "resources": [
                    {
                        "uuid": plan,
                        "title": f"secmon rules {export.ruleset}",
                        "description": f"{len(export.checks)} checks; the rules folder of this collector.",
                        "props": _props(ruleset=export.ruleset),
                    }
                ]
            },
        }
    }


def _result(export: Export, language: Language) -> Json:
    checks = {check.id: check for check in export.checks}
    seen = [machine.observed_at for machine in export.machines if machine.observed_at is not None]
    by_check: dict[str, list[_Answered]] = {}
    for machine in export.machines:
        for answer in machine.answers:
            by_check.setdefault(answer.check, []).append((machine, answer))
    observations = [
        _observation(export, machine, answer, checks.get(check), language)
        for check, answered in sorted(by_check.items())
        for machine, answer in answered
    ]
    observations += [_scanned(export, machine, each) for machine in export.machines for each in machine.scanned]
    risks = [_risk(export, number, those) for number, those in sorted(_by_record(export).items())]
    findings = [
        finding
        for check in export.checks
        if (finding := _finding(export, check, by_check.get(check.id, []), language)) is not None
    ]
    items = [_inventory_item(machine) for machine in export.machines]
    return {
        "uuid": _id(export, "result", export.exported_at.isoformat()),
        "title": f"Answers of {len(export.checks)} checks for {len(export.machines)} machines",
        "description": "The answers as they stood when they were exported. Unknown answers count as not satisfied.",
        "start": _instant(min(seen, default=export.exported_at)),
        "end": _instant(export.exported_at),
        **({"local-definitions": {"inventory-items": items}} if items else {}),
        "reviewed-controls": {
            "control-selections": [{"description": "All that the checks bear on.", "include-all": {}}]
        },
        **({"observations": observations} if observations else {}),
        **({"risks": risks} if risks else {}),
        **({"findings": findings} if findings else {}),
    }


def _inventory_item(machine: Machine) -> Json:
    known = {**machine.attributes, **({"asset-id": machine.asset_number} if machine.asset_number else {})}
    return {
        "uuid": str(machine.host_id),
        "description": machine.name,
        "props": _props(host=machine.name, **{name.replace("_", "-"): value for name, value in known.items()}),
    }


def _observation(
    export: Export, machine: Machine, answer: Answer, check: CheckWords | None, language: Language
) -> Json:
    title = check.title.of(language) if check else answer.check
    evidence = [{"description": text} for text in (answer.evidence, *(_item(item) for item in answer.items)) if text]
    return {
        "uuid": _id(export, "observation", str(machine.host_id), answer.check),
        "title": title,
        "description": f"{answer.check}: {_counts_as(answer)}",
        "props": _props(
            check=answer.check, status=answer.status, standing=answer.standing, since=_instant(answer.since),
            cause=answer.cause, ruleset=answer.ruleset,
        ),
        "methods": ["TEST"],
        "subjects": [{"subject-uuid": str(machine.host_id), "type": "inventory-item"}],
        **({"relevant-evidence": evidence} if evidence else {}),
        "collected": _instant(machine.observed_at or answer.since),
        **({"remarks": answer.reason} if answer.reason else {}),
    }  # fmt: skip


def _item(item: Item) -> str:
    return f"{item.key}: {item.status}: {item.evidence or item.reason}"


def _scanned(export: Export, machine: Machine, said: Scanned) -> Json:
    return {
        "uuid": _id(export, "scanned", str(machine.host_id), said.scanner, said.rule),
        "title": said.title or said.rule,
        "description": f"{said.scanner}: {said.rule}: {said.said}",
        "props": _props(
            scanner=said.scanner, rule=said.rule, status=said.status, said=said.said, severity=said.severity,
            since=_instant(said.since),
        ),
        "methods": ["TEST"],
        "subjects": [{"subject-uuid": str(machine.host_id), "type": "inventory-item"}],
        "collected": _instant(said.observed_at or said.since),
    }  # fmt: skip


def _finding(export: Export, check: CheckWords, answered: Sequence[_Answered], language: Language) -> Json | None:
    """None where it applies to no machine."""
    awaited = {machine.host_id for machine in export.machines if machine.attributes.get(USE) != STORED}
    answered = [(machine, answer) for machine, answer in answered if machine.host_id in awaited]
    given = Counter(_counts_as(answer) for _, answer in answered)
    silent = len(awaited) - len(answered)
    if not given["pass"] + given["fail"] + given["unknown"] + given["excepted"]:
        return None
    counts = {"pass": given["pass"], "fail": given["fail"], "unknown": given["unknown"] + silent}
    counts |= {"excepted": given["excepted"]} if given["excepted"] else {}
    told = {**counts, "not applicable": given["not_applicable"]}
    numbers = sorted({each.number for _, answer in answered for each in answer.borne})
    title = check.title.of(language)
    return {
        "uuid": _id(export, "finding", check.id),
        "title": title,
        "description": ", ".join(f"{number} {status}" for status, number in told.items()),
        "props": [
            *_props(severity=check.severity, area=check.area),
            *(prop for name, ids in check.controls.items() for prop in _controls(name, ids)),
        ],
        "target": {"type": "objective-id", "target-id": check.id, "title": title, "status": _state(counts)},
        "related-observations": [
            {"observation-uuid": _id(export, "observation", str(machine.host_id), answer.check)}
            for machine, answer in answered
        ],
        **({"related-risks": [{"risk-uuid": _id(export, "risk", number)} for number in numbers]} if numbers else {}),
    }


def _counts_as(answer: Answer) -> str:
    return answer.standing or answer.status


def _by_record(export: Export) -> Mapping[str, list[tuple[Machine, Answer, Borne]]]:
    """What each exception and dispute covers, by its number."""
    found: dict[str, list[tuple[Machine, Answer, Borne]]] = {}
    for machine in export.machines:
        for answer in machine.answers:
            for borne in answer.borne:
                found.setdefault(borne.number, []).append((machine, answer, borne))
    return found


def _risk(export: Export, number: str, those: Sequence[tuple[Machine, Answer, Borne]]) -> Json:
    """An accepted risk is a deviation that was approved; one that is disputed is being looked into."""
    borne = those[0][2]
    accepted = borne.kind == "exception"
    items = sorted({one.item for _, _, one in those if one.item})
    words = "Accepted" if accepted else "Disputed, and counted as unknown,"
    observed = dict.fromkeys((str(machine.host_id), answer.check) for machine, answer, _ in those)
    answers = [
        {
            "uuid": _id(export, "response", number),
            "lifecycle": "completed",
            "title": f"{number}: accepted",
            "description": borne.measure or borne.reason,
            "props": [{"name": "type", "value": "accept"}, *_props(approver=borne.approver)],
        }
    ]
    return {
        "uuid": _id(export, "risk", number),
        "title": f"{number} ({those[0][1].check})",
        "description": f"{words} until {borne.until.isoformat()} on {len({one[0].host_id for one in those})} machines"
        + (f": {', '.join(items)}" if items else ""),
        "statement": borne.reason,
        "props": _props(
            number=number, kind=borne.kind, approver=borne.approver, until=borne.until, measure=borne.measure
        ),
        "status": "deviation-approved" if accepted else "investigating",
        "deadline": _instant(borne.ends_at),
        **({"remediations": answers} if accepted else {}),
        "related-observations": [{"observation-uuid": _id(export, "observation", *place)} for place in observed],
    }


def _controls(framework: str, ids: Iterable[str]) -> list[Json]:
    return [{"name": "control", "ns": f"{NAMESPACE}:{framework}", "value": each} for each in ids]


def _state(counts: Mapping[str, int]) -> Json:
    if counts["fail"]:
        return {"state": "not-satisfied", "reason": "fail"}
    if counts["unknown"]:
        return {"state": "not-satisfied", "reason": "other", "remarks": "No machine fails; some could not be judged."}
    if counts.get("excepted"):
        return {"state": "not-satisfied", "reason": "other", "remarks": "All that fails is accepted; see the risks."}
    return {"state": "satisfied", "reason": "pass"}


def _props(**values: object) -> list[Json]:
    """Values without outer blanks or breaks of line, as OSCAL wants them; an empty one is left out."""
    return [
        {"name": name.replace("_", "-"), "ns": NAMESPACE, "value": text}
        for name, value in values.items()
        if (text := " ".join(str(value).split()))
    ]


def _id(export: Export, *names: str) -> str:
    return str(uuid.uuid5(_IDS, "\0".join((str(export.collector_id), *names))))


def _instant(moment: datetime) -> str:
    return moment.isoformat()
