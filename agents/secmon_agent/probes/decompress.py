"""Streams of compressed files, in bounded memory. lz4 and zstd come from the libraries that
apt, dpkg and rpm themselves are linked to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, BinaryIO, Final

from secmon_agent.host import TooLargeError, UnsupportedError

if TYPE_CHECKING:
    import ctypes

_CHUNK_BYTES: Final = 1 << 18
_LZ4F_VERSION: Final = 100


def chunks(file: BinaryIO, suffix: str, limit: int) -> Iterator[bytes]:
    """Decompressed bytes of `file`, by the suffix of its name ("" for plain). Raises UnsupportedError for another
    suffix,
    TooLargeError beyond `limit` decompressed bytes, and ValueError or OSError for a damaged file."""
    size = 0
    for chunk in _LIBRARIES[suffix](file) if suffix in _LIBRARIES else _standard(file, suffix):
        size += len(chunk)
        if size > limit:
            raise TooLargeError(f"a file decompresses to more than {limit} bytes")
        yield chunk


def _standard(file: BinaryIO, suffix: str) -> Iterator[bytes]:
    if suffix == "":
        stream = file
    elif suffix == ".gz":
        import gzip

        stream = gzip.GzipFile(fileobj=file)  # type: ignore[assignment]
    elif suffix == ".bz2":
        import bz2

        stream = bz2.BZ2File(file)  # type: ignore[assignment]
    elif suffix == ".xz":
        import lzma

        stream = lzma.LZMAFile(file)  # type: ignore[assignment] # noqa: SIM115 - the file is the caller's to close
    else:
        raise UnsupportedError(f"files compressed as {suffix} are not read by this version")
    try:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk
    except EOFError:
        raise ValueError("compressed file is cut short") from None


def _lz4(file: BinaryIO) -> Iterator[bytes]:
    import ctypes

    library = _lz4_library()
    context = ctypes.c_void_p()
    if library.LZ4F_isError(library.LZ4F_createDecompressionContext(ctypes.byref(context), _LZ4F_VERSION)):
        raise MemoryError("lz4")
    out = ctypes.create_string_buffer(_CHUNK_BYTES)
    hint = 1
    try:
        while raw := file.read(_CHUNK_BYTES >> 1):
            source, position = ctypes.create_string_buffer(raw, len(raw)), 0
            produced = ctypes.c_size_t(0)
            while position < len(raw) or produced.value == _CHUNK_BYTES:
                produced = ctypes.c_size_t(_CHUNK_BYTES)
                consumed = ctypes.c_size_t(len(raw) - position)
                hint = library.LZ4F_decompress(
                    context,
                    out,
                    ctypes.byref(produced),
                    ctypes.byref(source, position),
                    ctypes.byref(consumed),
                    None,
                )
                if library.LZ4F_isError(hint):
                    raise ValueError("lz4 file is damaged")
                position += consumed.value
                if produced.value:
                    yield ctypes.string_at(out, produced.value)
    finally:
        library.LZ4F_freeDecompressionContext(context)
    if hint != 0:
        raise ValueError("compressed file is cut short")


def _lz4_library() -> ctypes.CDLL:
    import ctypes

    try:
        library = ctypes.CDLL("liblz4.so.1")
    except OSError:
        raise UnsupportedError("files compressed as .lz4 need liblz4.so.1, which is missing") from None
    library.LZ4F_createDecompressionContext.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    library.LZ4F_createDecompressionContext.restype = ctypes.c_size_t
    library.LZ4F_freeDecompressionContext.argtypes = [ctypes.c_void_p]
    library.LZ4F_isError.argtypes = [ctypes.c_size_t]
    pointer = ctypes.c_void_p
    library.LZ4F_decompress.argtypes = [pointer] * 6
    library.LZ4F_decompress.restype = ctypes.c_size_t
    return library


def _zstd(file: BinaryIO) -> Iterator[bytes]:
    import ctypes

    library, buffer = _zstd_library()
    stream = library.ZSTD_createDStream()
    if not stream:
        raise MemoryError("zstd")
    out = ctypes.create_string_buffer(_CHUNK_BYTES)
    rest = 1
    try:
        while raw := file.read(_CHUNK_BYTES >> 1):
            source = buffer(ctypes.cast(ctypes.c_char_p(raw), ctypes.c_void_p), len(raw), 0)
            full = False
            while source.position < source.size or (full and rest != 0):
                target = buffer(ctypes.cast(out, ctypes.c_void_p), _CHUNK_BYTES, 0)
                rest = library.ZSTD_decompressStream(stream, ctypes.byref(target), ctypes.byref(source))
                if library.ZSTD_isError(rest):
                    raise ValueError("zstd file is damaged")
                full = target.position == target.size
                if target.position:
                    yield ctypes.string_at(out, target.position)
    finally:
        library.ZSTD_freeDStream(stream)
    if rest != 0:
        raise ValueError("compressed file is cut short")


def _zstd_library() -> tuple[ctypes.CDLL, type[ctypes.Structure]]:
    """The library, and its ZSTD_inBuffer, which ZSTD_outBuffer looks like."""
    import ctypes

    class Buffer(ctypes.Structure):
        _fields_ = (("place", ctypes.c_void_p), ("size", ctypes.c_size_t), ("position", ctypes.c_size_t))

    try:
        library = ctypes.CDLL("libzstd.so.1")
    except OSError:
        raise UnsupportedError("files compressed as .zst need libzstd.so.1, which is missing") from None
    library.ZSTD_createDStream.argtypes = []
    library.ZSTD_createDStream.restype = ctypes.c_void_p
    library.ZSTD_freeDStream.argtypes = [ctypes.c_void_p]
    library.ZSTD_isError.argtypes = [ctypes.c_size_t]
    library.ZSTD_decompressStream.argtypes = [ctypes.c_void_p, ctypes.POINTER(Buffer), ctypes.POINTER(Buffer)]
    library.ZSTD_decompressStream.restype = ctypes.c_size_t
    return library, Buffer


_LIBRARIES: Final[Mapping[str, Callable[[BinaryIO], Iterator[bytes]]]] = {".lz4": _lz4, ".zst": _zstd}
