"""The installer as wixl reads it: every file a component, the service, and the way of the enrollment string."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

NAMESPACE = uuid.UUID("6f0a6c0e-6f0e-4f57-9b6b-2f6c8f0c7d11")
"""Of the ids of components, which stay the same for the same path in every version."""
UPGRADE_CODE = "{B5C9D2A7-0D63-4B0E-8C2D-5E0B7C9E4F21}"
SERVICE = "secmon-agent"
FOLDER = "secmon-agent"
EVENT_KEY = rf"SYSTEM\CurrentControlSet\Services\EventLog\Application\{SERVICE}"
HOST = "pythonw.exe"
"""Hosts the service, and has no console."""
RUN = "-B -m secmon_agent"
DOWNGRADE = "A newer version of the secmon agent is installed. Remove it first if you want this one."
NO_STRING = "ENROLLMENT is not an enrollment string; it begins with secmon1/"


def describe(contents: Path, version: str) -> ET.ElementTree[ET.Element]:
    """WiX source of the package that installs all of `contents`."""
    root = ET.Element("Wix", xmlns="http://schemas.microsoft.com/wix/2006/wi")
    product = _add(
        root, "Product", Name="secmon agent", Id=_guid(f"product {version}"),
        UpgradeCode=UPGRADE_CODE, Version=version, Language="1033",
        Manufacturer="secmon",
    )  # fmt: skip
    _add(
        product, "Package", InstallerVersion="500", Compressed="yes", InstallScope="perMachine",
        Description="Reports security posture facts of this machine", Manufacturer="secmon",
    )  # fmt: skip
    _add(product, "MajorUpgrade", DowngradeErrorMessage=DOWNGRADE)
    _add(product, "Media", Id="1", Cabinet="agent.cab", EmbedCab="yes")
    _properties(product)
    top = _add(product, "Directory", Id="TARGETDIR", Name="SourceDir")
    programs = _add(top, "Directory", Id="ProgramFiles64Folder", Name="PFiles")
    folder = _add(programs, "Directory", Id="INSTALLDIR", Name=FOLDER)
    feature = _add(product, "Feature", Id="Agent", Title="secmon agent", Level="1")
    for component in _fill(folder, contents, contents):
        _add(feature, "ComponentRef", Id=component)
    _enrollment(product)
    return ET.ElementTree(root)


def _properties(product: ET.Element) -> None:
    _add(product, "Property", Id="ARPNOMODIFY", Value="1")
    _add(product, "Property", Id="MSIRESTARTMANAGERCONTROL", Value="Disable")
    _add(product, "Condition", Message=NO_STRING).text = 'NOT ENROLLMENT OR ENROLLMENT << "secmon1/"'


def _fill(parent: ET.Element, folder: Path, top: Path) -> Iterator[str]:
    """Adds everything under `folder` to `parent`; yields the ids of the components."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        relative = path.relative_to(top).as_posix()
        if path.is_dir():
            yield from _fill(_add(parent, "Directory", Id=_id("d", relative), Name=path.name), path, top)
            continue
        name = _id("c", relative)
        component = _add(parent, "Component", Id=name, Guid=_guid(relative), Win64="yes")
        _add(
            component,
            "File",
            Id=file_id(relative),
            Name=path.name,
            Source=str(path.relative_to(top.parent)),
            KeyPath="yes",
        )
        if relative == HOST:
            _service(component)
        yield name


def _service(component: ET.Element) -> None:
    """Delayed start and restarts the service arranges for itself: the tables for them are not in wixl."""
    _add(
        component, "ServiceInstall", Id="service", Name=SERVICE, DisplayName="secmon agent", Type="ownProcess",
        Start="auto", ErrorControl="normal", Vital="yes", Arguments=f"{RUN} service run",
        Description="Reports security posture facts of this machine to the collector of the office.",
    )  # fmt: skip
    _add(
        component,
        "ServiceControl",
        Id="service",
        Name=SERVICE,
        Start="install",
        Stop="both",
        Remove="uninstall",
        Wait="yes",
    )
    event_log = {"Root": "HKLM", "Key": EVENT_KEY}
    messages = r"[INSTALLDIR]site-packages\win32\win32evtlog.pyd"
    _add(component, "RegistryValue", Name="EventMessageFile", Type="expandable", Value=messages, **event_log)
    _add(component, "RegistryValue", Name="TypesSupported", Type="integer", Value="7", **event_log)


def _enrollment(product: ET.Element) -> None:
    """The string comes as a property, or lies in a file beside the package: Group Policy can set no property."""
    common = {"FileKey": HOST, "Execute": "deferred", "Impersonate": "no"}
    by_property = f'{RUN} enroll --later "[ENROLLMENT]"'
    by_file = f'{RUN} enroll --later --if-present --string-file "[SourceDir]enrollment.txt"'
    _add(product, "CustomAction", Id="EnrollByProperty", ExeCommand=by_property, Return="check", **common)
    _add(product, "CustomAction", Id="EnrollByFile", ExeCommand=by_file, Return="ignore", **common)
    sequence = _add(product, "InstallExecuteSequence")
    _add(sequence, "ResolveSource", Before="InstallFiles").text = "NOT Installed"
    _add(sequence, "Custom", Action="EnrollByProperty", Before="StartServices").text = 'ENROLLMENT AND NOT REMOVE="ALL"'
    _add(sequence, "Custom", Action="EnrollByFile", After="InstallServices").text = "NOT ENROLLMENT AND NOT Installed"


def file_id(relative: str) -> str:
    return HOST if relative == HOST else _id("f", relative)


def _id(kind: str, relative: str) -> str:
    return f"{kind}{uuid.uuid5(NAMESPACE, relative).hex}"


def _guid(name: str) -> str:
    return str(uuid.uuid5(NAMESPACE, name)).upper()


def _add(parent: ET.Element, name: str, **attributes: str) -> ET.Element:
    return ET.SubElement(parent, name, attributes)
