"""The files of `rules/lifecycle/`, read."""

from __future__ import annotations

from datetime import date

import msgspec
from msgspec import Struct

from secmon.evaluate.document import DocumentError, plain, read_document
from secmon.evaluate.lifecycle import Cycle, Product
from secmon.evaluate.mistakes import Reader


class _Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    cycle: str
    until: date
    editions: tuple[str, ...] = ()
    label: str = ""


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    products: tuple[str, ...]
    """Each `os.id` that the rows hold for."""
    source: str
    as_of: date
    cycles: tuple[_Row, ...]


def read_products(data: bytes, file: str) -> tuple[tuple[Product, ...], Reader]:
    reader = Reader(file)
    try:
        node = read_document(data)
        shape = msgspec.convert(plain(node), _File)
    except DocumentError as error:
        reader.wrong(error.line, error.reason)
        return (), reader
    except msgspec.ValidationError as error:
        reader.wrong(1, str(error))
        return (), reader
    for row in shape.cycles:
        if row.until == date.max:  # the day after, on which support has ended, could not be told
            reader.wrong(1, f"until: {row.cycle} ends after the last day that there is; leave it out")
    if reader.mistakes:
        return (), reader
    cycles = tuple(
        Cycle(cycle=row.cycle, until=row.until, editions=row.editions, label=row.label) for row in shape.cycles
    )
    return tuple(
        Product(product=product, source=shape.source, as_of=shape.as_of, cycles=cycles) for product in shape.products
    ), reader
