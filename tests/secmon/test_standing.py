"""A collector stands in one zone."""

from __future__ import annotations

import msgspec
import pytest

from secmon.config import Config, Zone
from secmon.errors import UsageError
from secmon.standing import own_addresses, stand_in_one_zone, zones_of
from tests.support.office import ZONES

OFFICE = Config(zones=ZONES)


def test_it_may_have_many_addresses_in_one_zone_and_others_in_none() -> None:
    stand_in_one_zone(OFFICE, ["127.0.0.1", "::1", "fe80::1%eth0", "10.1.0.5", "10.1.9.9", "192.168.1.1"])


def test_it_refuses_addresses_in_two_zones_and_names_them() -> None:
    with pytest.raises(UsageError, match=r"10\.1\.0\.5 in lgwan, 10\.2\.0\.5 in mynumber"):
        stand_in_one_zone(OFFICE, ["10.2.0.5", "127.0.0.1", "10.1.0.5"])


def test_it_takes_the_smallest_network_where_one_lies_within_another() -> None:
    zones = (*ZONES, Zone(id="all", name="すべて", networks=("10.0.0.0/8", "fd00::/8")))

    assert zones_of(["10.1.0.5"], zones) == {"lgwan": "10.1.0.5"}
    assert zones_of(["10.9.0.5", "fd00::1"], zones) == {"all": "10.9.0.5"}


def test_it_needs_no_zones() -> None:
    stand_in_one_zone(msgspec.structs.replace(OFFICE, zones=()), own_addresses())


def test_it_knows_its_own_addresses() -> None:
    assert "127.0.0.1" in own_addresses()
