"""The archived model as PDF/A by typst: its own font, no system fonts, no network."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

import noto_cjk_sans_jp_regular
import typst

from secmon import __version__
from secmon.evaluate.model import Language
from secmon.reports.archive import Archived
from secmon.reports.view import encode, view

STANDARD: Final = "a-2u"
"""PDF/A-2 whose text can be extracted: read in thirty years, searched today."""

_TEMPLATE = Path(__file__).with_name("monthly.typ")


def renderer() -> str:
    """What a report was first rendered by; archived with it."""
    return f"secmon {__version__}, typst {version('typst')}"


def render(archived: Archived, language: Language) -> bytes:
    """The same archived report gives the same bytes."""
    return typst.compile(
        str(_TEMPLATE),
        None,
        root=str(_TEMPLATE.parent),
        font_paths=_fonts(),
        ignore_system_fonts=True,
        sys_inputs={"view": encode(view(archived, language))},
        format="pdf",
        pdf_standards=STANDARD,
        timestamp=int(archived.created_at.timestamp()),
    )


@lru_cache(maxsize=1)
def _fonts() -> typst.Fonts:
    folder = Path(str(noto_cjk_sans_jp_regular.FONT_PATH)).parent
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(folder)])
