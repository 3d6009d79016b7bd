"""Replaces what is personal: the same by the same, so that a recording still fits together. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from secmon_agent.capture.addresses import Addresses
from secmon_agent.capture.learn import Secret, says_something

_UNITS: Final = "service|socket|timer|target|mount|automount|path|slice|scope|device|swap|conf|d|so|list|log"
_MAIL: Final = re.compile(
    r"(?<![\w.+@-])[\w.+-]+@(?!(?:[\w-]+\.)?(?:openssh|libssh)\.)"
    rf"(?:[\w-]+\.)+(?!(?:{_UNITS})\b)[A-Za-z][\w-]+"
)
_SITE: Final = re.compile(
    r"(?<![\w.@/-])(?!(?:[\w-]+\.)*example\d*\.jp\b)"
    r"(?:(?:[A-Za-z0-9][\w-]*\.)+jp|(?:[A-Za-z0-9][\w-]*\.){2,}(?:local|lan|internal|intra|corp))"
    r"(?![\w-]|\.\w)",
    re.IGNORECASE,
)
_URL_LOGIN: Final = re.compile(r"(?<=://)(?:[^/@\s\"']+@|[^/@\s\"':\[]*:(?!\d{1,5}[/?#])[^@\s\"']*@)+")
"""A name and a password, which may hold a slash. It would pass for a mail address, and the host for its domain."""
_URL: Final = re.compile(r"(?<=://)(\[[0-9A-Fa-f:.]+\]|[\w.-]+)")
_PUBLIC: Final = re.compile(
    r"(?:.*\.)?(?:debian\.org|ubuntu\.com|canonical\.com|microsoft\.com|windowsupdate\.com|windows\.com|redhat\.com"
    r"|fedoraproject\.org|rockylinux\.org|almalinux\.org|centos\.org|oracle\.com|google\.com|mozilla\.org|w3\.org"
    r"|freedesktop\.org|gnu\.org|kernel\.org|systemd\.io|github\.com|example\d*\.(?:jp|com|org|lg\.jp)|site\d+|localhost)"
    r"|[\d.]+|\[.*",
    re.IGNORECASE,
)
_HASH: Final = re.compile(r"\$(?:y|gy|7|2[abxy]|[156]|sha1|md5|argon2id?)\$[./A-Za-z0-9$=,+-]{8,}")
_BOOT_HASH: Final = re.compile(r"grub\.pbkdf2\.sha512\.\d+\.[0-9A-Fa-f.]+")
_PRIVATE_KEY: Final = re.compile(
    r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?:(-----END [A-Z ]*PRIVATE KEY-----)|\Z)", re.DOTALL
)
_PUBLIC_KEY: Final = re.compile(
    r"\b(ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-\S+|sk-\S+@openssh\.com) AAAA[A-Za-z0-9+/=]+(?: [^\n]*)?"
)
_ASSIGNED: Final = re.compile(
    r"""(?im)(?<![a-z])((?:[\w-]*(?:password|passphrase|psk|secret|token|api[-_]?key)|wep-key\d)"""
    r"""["']?[ \t]*(?:=|:(?!\w))[ \t]*)("[^"\n]*"|'[^'\n]*'|[^\s"',;{}\[\]]+)"""
)
_PLAIN: Final = re.compile(r"""["']?(?:|\d{1,6}|true|false|yes|no|null|none|redacted)["']?""", re.IGNORECASE)
"""A setting about passwords, and none itself."""
_LICENCES: Final = ("productkey", "backupproductkeydefault", "digitalproductid", "digitalproductid4", "productid")
_PRODUCT_KEY: Final = re.compile(r"\b(?:[A-Z0-9]{5}-){4}[A-Z0-9]{5}\b")
_SID: Final = re.compile(r"\bS-1-5-21-\d+-\d+-\d+")
_ANYWHERE_CHARS: Final = 5
"""So long a name is replaced inside of words, too."""
_FIXED: Final = ("/proc/sys/", "/sys/")
"""Names that the kernel gives are nobody's."""


class Redactor:
    def __init__(self, secrets: Iterable[Secret]) -> None:
        self.secrets = list(secrets)
        self.counts: Counter[str] = Counter()
        self.addresses = Addresses()
        self._sites: dict[str, str] = {}
        self._sids: dict[str, str] = {}
        self._mails: dict[str, str] = {}
        self._by_text = {secret.text.casefold(): secret for secret in self.secrets}
        self._known = _pattern(self.secrets)

    def login(self, name: str) -> str:
        """A login name that stands by itself, however short."""
        secret = self._by_text.get(name.casefold())
        return name if secret is None else self._replaced(secret)

    def text(self, text: str, *, addresses: bool = True) -> str:
        text = _PRIVATE_KEY.sub(lambda found: self._count("key", f"{found[1]}\nredacted\n{found[2] or ''}"), text)
        text = _PUBLIC_KEY.sub(lambda found: self._count("key", f"{found[1]} redacted"), text)
        text = _HASH.sub(lambda found: self._count("password", f"${found[0].split('$')[1]}$redacted"), text)
        text = _BOOT_HASH.sub(lambda found: self._count("password", "redacted"), text)
        text = _ASSIGNED.sub(self._assigned, text)
        text = _PRODUCT_KEY.sub(lambda found: self._count("key", "XXXXX-XXXXX-XXXXX-XXXXX-XXXXX"), text)
        text = _URL_LOGIN.sub(lambda _: self._count("password", ""), text)
        text = _MAIL.sub(lambda found: self._mail(found[0]), text)
        text = self._names(text)
        text = _URL.sub(self._host_of_url, text)
        text = _SITE.sub(lambda found: self._site(found[0]), text)
        text = _SID.sub(lambda found: self._sid(found[0]), text)
        return self._addresses(text) if addresses else text

    def path(self, name: str) -> str:
        """The name of a file, a link's target, or a registry key."""
        if name.startswith(_FIXED):
            return name
        return _SID.sub(lambda found: self._sid(found[0]), self._addresses(self._names(name)))

    def value(self, name: str, value: str) -> str:
        """A text of the registry."""
        key = name.casefold()
        if value and (key.endswith("password") or key in _LICENCES):
            return self._count("password", "redacted")
        if value and key in ("registeredowner", "registeredorganization"):
            return self._count("person", "person")
        return self.member(name, value)

    def member(self, name: str, value: str) -> str:
        """A text that has a name: what is called a version holds no address."""
        return self.text(value, addresses=not re.search("version|build", name, re.IGNORECASE))

    def binary(self, data: bytes) -> bytes:
        """Known names, in the encodings that Windows and Linux use, overwritten in place: the length stays."""
        for secret in self.secrets:
            if len(secret.text) < _ANYWHERE_CHARS and secret.text.isascii():
                continue
            for encoding in ("utf-8", "utf-16-le", "cp932"):
                data = self._overwritten(data, secret, encoding)
        return data

    def left(self, data: bytes) -> Secret | None:
        """A known name that still stands in `data`, however it came there."""
        for encoding in ("utf-8", "utf-16-le", "cp932"):
            found = self._known.search(data.decode(encoding, "replace")) if self._known else None
            if found is not None:
                return self._by_text[found[0].casefold()]
        return None

    def _overwritten(self, data: bytes, secret: Secret, encoding: str) -> bytes:
        try:
            wanted = secret.text.encode(encoding)
        except UnicodeEncodeError:
            return data
        pattern = re.compile(re.escape(wanted), re.IGNORECASE)
        blank = "x".encode(encoding) * len(wanted)
        data, number = pattern.subn(lambda found: blank[: len(found[0])], data)
        self.counts[secret.kind] += number
        return data

    def _names(self, text: str) -> str:
        if self._known is None:
            return text
        return self._known.sub(lambda found: self._replaced(self._by_text[found[0].casefold()]), text)

    def _replaced(self, secret: Secret) -> str:
        return self._count(secret.kind, secret.replacement)

    def _addresses(self, text: str) -> str:
        new = self.addresses.text(text)
        self.counts["address"] = len(self.addresses)
        return new

    def _assigned(self, found: re.Match[str]) -> str:
        if _PLAIN.fullmatch(found[2]):
            return found[0]
        quote = found[2][0] if found[2][0] in "\"'" else ""
        return self._count("password", f"{found[1]}{quote}redacted{quote}")

    def _mail(self, text: str) -> str:
        if re.fullmatch(r"mail\d+@example\.jp", text):
            return text
        return self._count("mail", self._mails.setdefault(text.casefold(), f"mail{len(self._mails) + 1}@example.jp"))

    def _host_of_url(self, found: re.Match[str]) -> str:
        return found[1] if _PUBLIC.fullmatch(found[1]) else self._site(found[1])

    def _site(self, text: str) -> str:
        if not says_something(text.casefold(), "domain"):
            return text
        return self._count("domain", self._sites.setdefault(text.casefold(), f"site{len(self._sites) + 1}.example.jp"))

    def _sid(self, text: str) -> str:
        number = len(self._sids) + 1
        if re.fullmatch(r"S-1-5-21-(\d{1,4})-\1-\1", text):
            return text
        return self._count("sid", self._sids.setdefault(text, f"S-1-5-21-{number}-{number}-{number}"))

    def _count(self, kind: str, text: str) -> str:
        self.counts[kind] += 1
        return text


def _pattern(secrets: list[Secret]) -> re.Pattern[str] | None:
    """Short names count as whole words only; the longest that fits wins."""
    parts = []
    for secret in sorted(secrets, key=lambda it: -len(it.text)):
        plain = re.escape(secret.text)
        short = len(secret.text) < _ANYWHERE_CHARS and secret.text.isascii()
        parts.append(rf"(?<![A-Za-z0-9]){plain}(?![A-Za-z0-9])" if short else plain)
    return re.compile("|".join(parts), re.IGNORECASE) if parts else None
