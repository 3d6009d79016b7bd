"""Results of OpenSCAP (XCCDF 1.1 and 1.2, alone or within an ARF), read as a stranger's file.

Only what is looked for is kept, whatever else the file holds: results of rules, titles of rules, names of machines. A
document type is refused, and with it every entity; size, depth, names and texts have limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Final
from xml.parsers import expat

from msgspec import Struct

from secmon.errors import UsageError
from secmon.evaluate.model import Status

MAX_FILE_BYTES: Final = 128 * 1024 * 1024
MAX_DEPTH: Final = 100
MAX_RULES: Final = 20_000
MAX_TEXT_CHARS: Final = 500
MAX_NAME_CHARS: Final = 255
MAX_NAMES: Final = 20
"""Of a machine; a scanner gives two or three."""
STATUSES: Final[Mapping[str, Status]] = {
    "pass": "pass",
    "fixed": "pass",
    "fail": "fail",
    "error": "unknown",
    "unknown": "unknown",
    "notchecked": "unknown",
    "notapplicable": "not_applicable",
}
"""`notselected` and `informational` are no answers and left out."""
ENCODINGS: Final = ("UTF-8", "UTF-16", "ISO-8859-1", "US-ASCII")
"""Those that the parser itself knows."""
FIRST_YEAR: Final = 2000
"""XCCDF is younger; a time before it is no time of a run."""
_NO_ANSWERS: Final = ("notselected", "informational")
_WORST_FIRST: Final[tuple[Status, ...]] = ("fail", "unknown", "pass", "not_applicable")
"""Of a rule that was looked at several times, once for each place: one of them fails, the rule fails."""
_XCCDF: Final = ("http://checklists.nist.gov/xccdf/1.2", "http://checklists.nist.gov/xccdf/1.1")
_HOST_FACTS: Final = ("urn:xccdf:fact:asset:identifier:host_name", "urn:xccdf:fact:asset:identifier:fqdn")


class ScannerResult(Struct, frozen=True, kw_only=True):
    rule: str
    status: Status
    said: str
    severity: str = ""
    title: str = ""


class ScannerReport(Struct, frozen=True, kw_only=True):
    names: tuple[str, ...]
    """What the scanner called the machine: <target>, and the facts that name it."""
    ended_at: datetime
    results: tuple[ScannerResult, ...]


class XccdfError(UsageError):
    """A file that is no result, or may not be read."""


def read_report(data: bytes, tz: tzinfo = UTC) -> ScannerReport:
    """The one result in the file; `tz` is where a time lies that names no zone. Raises XccdfError."""
    reader = _Reader(tz)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.XmlDeclHandler = reader.declaration
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise XccdfError(f"line {error.lineno}: not XML: {expat.ErrorString(error.code)}") from None
    return reader.report()


class _Reader:
    """Follows the file once, and remembers the little that is looked for."""

    def __init__(self, tz: tzinfo) -> None:
        self.tz = tz
        self.path: list[str] = []
        self.collected: list[str] | None = None
        self.length = 0
        self.reports = 0
        self.ended_at: datetime | None = None
        self.names: dict[str, None] = {}
        self.titles: dict[str, str] = {}
        self.results: dict[str, ScannerResult] = {}
        self.rules: list[str] = []
        self.rule_result: Mapping[str, str] = {}
        self.fact = ""

    def declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        """Any other would be decoded by whatever codec Python has under that name."""
        if encoding is not None and encoding.upper() not in ENCODINGS:
            raise XccdfError(f"the encoding {encoding[:40]!r} is not read; {', '.join(ENCODINGS)} are")

    def doctype(self, *_: object) -> None:
        raise XccdfError("a document type is not allowed")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        element = self._known(name)
        self.path.append(element)
        if len(self.path) > MAX_DEPTH:
            raise XccdfError(f"nested deeper than {MAX_DEPTH}")
        if element == "TestResult":
            self.reports += 1
            if self.reports > 1:
                raise XccdfError("results of more than one run; a file holds one")
            self.ended_at = _instant(attributes.get("end-time", ""), self.tz)
        elif element == "Rule":
            self.rules.append(_name(attributes.get("id", "")))
        elif element == "rule-result":
            self.rule_result = attributes
        elif element == "fact":
            self.fact = attributes.get("name", "")
        if self._is_looked_for():
            self.collected, self.length = [], 0

    def _known(self, name: str) -> str:
        namespace, _, element = name.rpartition(" ")
        return element if namespace in _XCCDF else ""

    def _is_looked_for(self) -> bool:
        parent = self.path[-2] if len(self.path) > 1 else ""
        return (parent, self.path[-1]) in (
            ("rule-result", "result"),
            ("Rule", "title"),
            ("TestResult", "target"),
            ("target-facts", "fact"),
        )

    def text(self, text: str) -> None:
        if self.collected is not None and self.length < MAX_TEXT_CHARS:
            self.collected.append(text)
            self.length += len(text)

    def end(self, _: str) -> None:
        if self.collected is not None and self._is_looked_for():
            self._take(self.path[-1], _line("".join(self.collected)))
            self.collected = None
        if self.path.pop() == "Rule":
            self.rules.pop()

    def _take(self, element: str, text: str) -> None:
        if element == "result":
            self._result(text)
        elif element == "title" and self.rules and len(self.titles) < MAX_RULES:
            self.titles.setdefault(self.rules[-1], text)
        elif text and (element == "target" or (element == "fact" and self.fact in _HOST_FACTS)):
            self._name(text[:MAX_NAME_CHARS])

    def _name(self, name: str) -> None:
        """What every machine calls itself names none."""
        if len(self.names) < MAX_NAMES and name.casefold().partition(".")[0] != "localhost":
            self.names[name] = None

    def _result(self, said: str) -> None:
        rule = _name(self.rule_result.get("idref", ""))
        if said in _NO_ANSWERS:
            return
        if said not in STATUSES:
            raise XccdfError(f"rule {rule}: {said!r} is no result of XCCDF")
        before = self.results.get(rule)
        if before is None and len(self.results) >= MAX_RULES:
            raise XccdfError(f"more than {MAX_RULES} results")
        if before is not None and _WORST_FIRST.index(before.status) <= _WORST_FIRST.index(STATUSES[said]):
            return
        severity = self.rule_result.get("severity", "")
        self.results[rule] = ScannerResult(
            rule=rule,
            status=STATUSES[said],
            said=said,
            severity=severity if severity in ("high", "medium", "low", "info") else "",
        )

    def report(self) -> ScannerReport:
        if not self.reports:
            raise XccdfError("no XCCDF test result in this file")
        if self.ended_at is None or self.ended_at.year < FIRST_YEAR:
            raise XccdfError("the result does not say when the run ended")
        if not self.results:
            raise XccdfError("no rule has a result; a run that looked at nothing ends nothing")
        return ScannerReport(
            names=tuple(self.names),
            ended_at=self.ended_at,
            results=tuple(
                ScannerResult(
                    rule=each.rule,
                    status=each.status,
                    said=each.said,
                    severity=each.severity,
                    title=self.titles.get(each.rule, ""),
                )
                for each in self.results.values()
            ),
        )


def _name(text: str) -> str:
    if not text or len(text) > MAX_NAME_CHARS or not text.isprintable():
        raise XccdfError("a rule without a name that can be shown")
    return text


def _line(text: str) -> str:
    shown = " ".join(text.split())[:MAX_TEXT_CHARS]
    return "".join(sign for sign in shown if sign.isprintable())


def _instant(text: str, tz: tzinfo) -> datetime | None:
    """XCCDF lets the zone be left out, and older scanners do: they write what the machine's clock shows."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=tz).astimezone(UTC)
