"""BitLocker: on, off, suspended, half way, locked."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from msgspec import UNSET

from secmon_agent import collect
from secmon_agent.host import Host
from secmon_agent.probes.disk_encryption_windows import states, volumes_of
from secmon_agent.questions.bitlocker import BitlockerAnswer, EncryptableVolume
from tests.agents.probes.windows_made import answering


@pytest.mark.parametrize(
    ("protection", "conversion", "expected"),
    [
        (1, 1, (True, False)),
        (1, UNSET, (True, False)),
        (1, 2, (UNSET, UNSET)),
        (0, 1, (True, True)),
        (0, 0, (False, False)),
        (0, 2, (False, UNSET)),
        (0, 3, (False, UNSET)),
        (0, UNSET, (UNSET, UNSET)),
        (2, 1, (True, UNSET)),
        (2, UNSET, (UNSET, UNSET)),
        (2, 0, (UNSET, UNSET)),
        (UNSET, 0, (UNSET, UNSET)),
        (UNSET, UNSET, (UNSET, UNSET)),
    ],
)
def test_only_a_whole_volume_whose_key_is_closed_away_is_protected(
    protection: int, conversion: int, expected: tuple[object, object]
) -> None:
    assert states(protection, conversion) == expected


def _volume(**values: object) -> EncryptableVolume:
    return msgspec.convert(values, EncryptableVolume)


def test_portable_media_and_volumes_without_a_letter_are_no_setting_of_the_machine() -> None:
    rows = [
        _volume(DriveLetter="C:", VolumeType=0, ProtectionStatus=1, ConversionStatus=1),
        _volume(DriveLetter="E:", VolumeType=2, ProtectionStatus=0),
        _volume(VolumeType=1, ProtectionStatus=0),
        _volume(DriveLetter="D:", ProtectionStatus=0, ConversionStatus=0),
    ]
    found = volumes_of(rows)
    assert [(it.mount, it.system, it.removable, it.encrypted, it.method) for it in found] == [
        ("C:", True, False, True, "bitlocker"),
        ("D:", UNSET, UNSET, False, UNSET),
    ]


def test_without_administrators_rights_it_says_denied(changed_host: Callable[..., Host]) -> None:
    host = changed_host("windows-11-ja", privileged=False)
    assert collect.collect(host, ["disk_encryption"])["disk_encryption"].status == "denied"


def test_a_machine_without_any_volume_is_not_believed(changed_host: Callable[..., Host]) -> None:
    host = answering(changed_host("windows-11-ja"), BitlockerAnswer(volumes=()))
    assert collect.collect(host, ["disk_encryption"])["disk_encryption"].status == "failed"
