"""Streams of compressed files, in bounded memory. lz4 comes from the library that apt itself is linked to."""

from __future__ import annotations

from collections.abc import Iterator
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
    for chunk in _lz4(file) if suffix == ".lz4" else _standard(file, suffix):
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
