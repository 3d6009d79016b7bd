"""What is said to people at the machine, in both languages. Facts, files and errors stay English."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Language = Literal["ja", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("ja", "en")


class Words(NamedTuple):
    ja: str
    en: str

    def of(self, language: Language) -> str:
        return self.ja if language == "ja" else self.en
