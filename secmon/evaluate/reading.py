"""Reading the folders that rules come from. Whatever is wrong in any file is told at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from itertools import chain

from msgspec import Struct

from secmon.evaluate.adapt import Lists, Override, Profile
from secmon.evaluate.check import Check
from secmon.evaluate.checkfile import CheckFile, read_check
from secmon.evaluate.examples import Example
from secmon.evaluate.folders import Folders, Source
from secmon.evaluate.lifecycle import Product
from secmon.evaluate.lifecyclefile import read_products
from secmon.evaluate.listfile import read_list, read_list_change
from secmon.evaluate.mistakes import Mistake, Reader, RulesError
from secmon.evaluate.overridefile import read_overrides
from secmon.evaluate.profilefile import read_profile


class Gathered(Struct, frozen=True, kw_only=True):
    """What stands in the folders, every file verified by itself and against the others."""

    version: str
    shipped: str
    written: Mapping[str, Check]
    own: frozenset[str]
    examples: Mapping[str, tuple[Example, ...]]
    products: Mapping[str, Product]
    lists: Lists
    overrides: Mapping[str, Override]
    profiles: tuple[Profile, ...]
    misfits: tuple[Mistake, ...]


def gather(folders: Folders) -> Gathered:
    """Raises RulesError with every mistake."""
    gathering = _Gathering(folders)
    shipped_lists, lists = gathering.lists()
    files, own = gathering.checks(shipped_lists, lists)
    products = gathering.products()
    checks = {id_: file.check for id_, file in files.items()}
    profiles = gathering.profiles(checks)
    overrides = gathering.overrides(checks, profiles)
    gathering.end()
    return Gathered(
        version=gathering.version,
        shipped=gathering.shipped.content.hexdigest()[:12],
        written=checks,
        own=own,
        examples={id_: file.examples for id_, file in files.items()},
        products=products,
        lists=lists,
        overrides=overrides,
        profiles=profiles,
        misfits=tuple(sorted(gathering.misfits)),
    )


class _Gathering:
    """Walks the folders; the shipped one first, because the office's speaks of what is in it."""

    def __init__(self, folders: Folders) -> None:
        self.shipped = Source(folders.shipped)
        self.site = Source(folders.site, is_site=True) if folders.site is not None else None
        self.sources = [source for source in (self.shipped, self.site) if source is not None]
        self.mistakes: list[Mistake] = []
        self.misfits: list[Mistake] = []
        for source in self.sources:
            source.look_for_strays()

    @property
    def version(self) -> str:
        parts = [source.content.hexdigest() for source in self.sources if source is self.shipped or not source.is_empty]
        return parts[0][:12] if len(parts) == 1 else hashlib.sha256("".join(parts).encode()).hexdigest()[:12]

    def end(self) -> None:
        mistakes = [*self.mistakes, *chain.from_iterable(source.mistakes for source in self.sources)]
        if mistakes:
            raise RulesError(mistakes)

    def take(self, reader: Reader, source: Source) -> None:
        """What was shipped fits together, or it is wrong."""
        self.mistakes += reader.mistakes
        (self.misfits if source.is_site else self.mistakes).extend(reader.misfits)

    def lists(self) -> tuple[Lists, Lists]:
        """As they were shipped, and with what the office made of them."""
        shipped: dict[str, tuple[str, ...]] = {}
        for path, data in self.shipped.files("lists/*.yaml"):
            shipped[path.stem], reader = read_list(data, self.shipped.shown(path), path.stem)
            self.take(reader, self.shipped)
        lists = dict(shipped)
        for path, data in self.site.files("lists/*.yaml") if self.site is not None else ():
            change, reader = read_list_change(data, str(path), path.stem, shipped)
            self.mistakes += reader.mistakes
            self.misfits += reader.misfits
            if change.entries is not None:
                lists[path.stem] = change.entries
            elif path.stem in shipped:
                lists[path.stem] = change.of(shipped[path.stem])
        return shipped, lists

    def checks(self, shipped_lists: Lists, lists: Lists) -> tuple[dict[str, CheckFile], frozenset[str]]:
        """In the order of ids, and the ids of those that the office wrote."""
        found: dict[str, CheckFile] = {}
        own: set[str] = set()
        for source in self.sources:
            for path, data in source.files("checks/*/*.yaml", needed=not source.is_site):
                names = lists if source.is_site else shipped_lists
                file, reader = read_check(data, source.shown(path), path.parent.name, path.stem, names)
                if file is not None and file.check.id in found:
                    reader.misfit(
                        1,
                        f"secmon itself has a check {file.check.id!r}, which holds; this one is set aside: give it "
                        "another name, or change the shipped one in overrides/",
                    )
                elif file is not None:
                    found[file.check.id] = file
                    own |= {file.check.id} if source.is_site else set()
                self.take(reader, source)
        return {id_: found[id_] for id_ in sorted(found)}, frozenset(own)

    def products(self) -> dict[str, Product]:
        found: dict[str, Product] = {}
        for source in self.sources:
            for path, data in source.files("lifecycle/*.yaml"):
                products, reader = read_products(data, source.shown(path))
                for product in products:
                    if product.product in found:
                        reader.wrong(1, f"the product {product.product!r} stands in another file already")
                    found[product.product] = product
                self.take(reader, source)
        return found

    def profiles(self, checks: Mapping[str, Check]) -> tuple[Profile, ...]:
        """In the order of ids; the office's takes the place of the shipped one with the same id."""
        found: dict[str, Profile] = {}
        for source in self.sources:
            for path, data in source.files("profiles/*.yaml"):
                profile, reader = read_profile(data, source.shown(path), path.stem, checks, is_own=source.is_site)
                self.take(reader, source)
                if profile is not None:
                    found[profile.id] = profile
        return tuple(found[id_] for id_ in sorted(found))

    def overrides(self, checks: Mapping[str, Check], profiles: Iterable[Profile]) -> dict[str, Override]:
        found: dict[str, Override] = {}
        ids = {profile.id for profile in profiles}
        for path, data in self.site.files("overrides/*.yaml") if self.site is not None else ():
            overrides, reader = read_overrides(data, str(path), checks, ids)
            for override, line in overrides:
                if override.check in found:
                    reader.wrong(line, f"{override.check}: another file of overrides/ changes it already")
                found[override.check] = override
            self.mistakes += reader.mistakes
            self.misfits += reader.misfits
        return found
