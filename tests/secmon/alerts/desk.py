"""A person at a desk: an office, its alert rules, and the mails that were made for them."""

from __future__ import annotations

import email
import email.policy
import uuid
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any, cast

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Row

from secmon.alerts.dispatch import Dispatcher
from secmon.alerts.model import AlertRule
from secmon.alerts.rules import load_alert_rules
from secmon.evaluate.frameworks import load_frameworks
from secmon.resources import rules_dir
from secmon.store.hosts import create_host
from secmon.store.schema import deliveries, dispatches, findings, transitions
from secmon_agent import facts
from tests.support.office import START, Office, linux


def listening(*ports: int) -> dict[str, Struct]:
    """A well-kept server on which these ports are open; 21 and 23 are of high severity."""
    open_ports = tuple(
        facts.ListeningPort(protocol="tcp", address="0.0.0.0", port=port, reach="network", process="inetd")
        for port in ports
    )
    return linux(ports=facts.Ports(listening=open_ports))


HIGH_CHECK = "ports.exposed-high-risk"
GOOD = listening(22)
BAD = listening(22, 23)


class Desk:
    def __init__(self, office: Office) -> None:
        self.office = office
        self.alert_rules: tuple[AlertRule, ...] = load_alert_rules(rules_dir())
        self.frameworks = load_frameworks(rules_dir(), office.rules)
        self.dispatcher = Dispatcher(office.database)
        self.now = START
        self._joined = 0

    def later(self, **by: float) -> datetime:
        self.now += timedelta(**by)
        return self.now

    def settled(self, *names: str) -> list[uuid.UUID]:
        """Machines in good order whose first state was told, an hour ago."""
        hosts = [self.office.add_host(name, zone="lgwan", department="町民課") for name in names]
        for host in hosts:
            self.office.report(host, GOOD, self.now)
        self.dispatch()
        self.later(hours=2)
        return hosts

    def join(self, number: int) -> None:
        """New machines with one finding each, straight into the tables: judging them all would take its time."""
        with self.office.database.write() as connection:
            for _ in range(number):
                self._joined += 1
                host = create_host(
                    connection, hostname=f"PC-{self._joined:03}", now=self.now, attributes={"zone": "lgwan"}
                )
                finding = {"host_id": host, "finding_id": uuid.uuid4(), "check_id": HIGH_CHECK, "severity": "high"}
                times = {"opened_at": self.now, "recorded_at": self.now, "due_at": self.now + timedelta(days=7)}
                connection.execute(sa.insert(findings).values(**finding, **times, state="open"))
                seen = {"host_id": host, "cause": "baseline", "observed_at": self.now, "recorded_at": self.now}
                connection.execute(sa.insert(transitions).values(**{**seen, **finding, "event": "opened"}))
                connection.execute(sa.insert(transitions).values(**seen, event="first_state"))

    def dispatch(self) -> int:
        office = self.office
        return self.dispatcher.run(office.config, office.rules, self.frameworks, self.alert_rules, self.now)

    def mails(self) -> list[EmailMessage]:
        """In the order in which they were made."""
        return [parse(row.message) for row in self.rows()]

    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails()]

    def rows(self) -> list[Row[Any]]:
        order = (deliveries.c.created_at, deliveries.c.group_key, deliveries.c.recipient)
        with self.office.database.read() as connection:
            return list(connection.execute(sa.select(deliveries).order_by(*order)))

    def outcomes(self) -> dict[str, list[str]]:
        """Outcome of each decided transition, by event; `waiting` where there is none."""
        with self.office.database.read() as connection:
            rows = connection.execute(
                sa.select(transitions.c.event, dispatches.c.outcome)
                .outerjoin(dispatches, dispatches.c.transition_id == transitions.c.transition_id)
                .order_by(transitions.c.transition_id)
            ).all()
        found: dict[str, list[str]] = {}
        for event, outcome in rows:
            found.setdefault(event, []).append(outcome or "waiting")
        return found


def parse(message: bytes) -> EmailMessage:
    return email.message_from_bytes(message, policy=email.policy.default)


def body(mail: EmailMessage) -> str:
    return cast(str, mail.get_content()).replace("\r\n", "\n")
