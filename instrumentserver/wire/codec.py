"""Values to bytes and back, through one closed table of types.

`None`, `bool`, `int` up to 64 bits, `float`, `str`, `bytes`, `list` and `dict` are plain msgpack.
Every other type of the table is a msgpack extension with the code given in `_Code`; the
payload of most is a message of its own. Arrays of `OUT_OF_BAND` bytes and more travel as raw buffers
beside the message, without being copied on either side: an array must not be changed by another
thread while it is being sent.

Not kept: the writeable flag of arrays (they arrive writable), strides other than C and Fortran order, the
difference between `bytes` and `bytearray` or `memoryview`, which arrive as `bytes`, between pure and
concrete paths, and time zones that are neither of `zoneinfo` nor fixed, which arrive fixed.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import msgpack
import numpy as np

from instrumentserver.errors import InstrumentServerError, NotPortable, ProtocolError

from . import arrays, values

__all__ = ["OUT_OF_BAND", "Buffer", "Codec", "Extension"]

Buffer = bytes | bytearray | memoryview

OUT_OF_BAND: Final = 1024
"""Arrays of at least this many bytes travel beside the message."""
_MOST_BUFFERS: Final = 1000
_DEEPEST: Final = 16
"""Extensions inside one another; msgpack takes up to 500 kB of the stack for each, and a stack has 8 MB."""
_unpackb: Final = msgpack.unpackb
_DOUBLE: Final = struct.Struct("!d")


class _Code:
    """The extension codes. A code, once given, never changes its meaning."""

    FLOAT64: Final = 1
    TUPLE: Final = 2
    ARRAY: Final = 3
    BUFFERED_ARRAY: Final = 4
    VALUE: Final = 5
    FIRST_EXTENSION: Final = 32


@dataclass(frozen=True)
class Extension:
    """A kind of object that a higher floor can put into plain values, such as a handle.

    Attributes:
        code: Its number on the wire, 32 to 127.
        dump: Returns the plain values for an object of this kind, None for any other object.
        load: Returns the object for the plain values.
    """

    code: int
    dump: Callable[[object], Any]
    load: Callable[[Any], object]


class Codec:
    """Encodes and decodes messages; one for each connection, for one thread at a time.

    Args:
        extensions: Kinds of objects beyond the table of types.
        loaders: What makes an object of the plain values under further codes, which only the peer sends.

    Attributes:
        fallback: Asked where a value is of no type of the table and of no extension: returns a code and plain
            values, or None if it has no form either.
        received: The largest serial number among the handles of objects that it has decoded.
    """

    def __init__(
        self,
        extensions: Sequence[Extension] = (),
        loaders: Mapping[int, Callable[[Any], object]] = MappingProxyType({}),
    ) -> None:
        self.fallback: Callable[[Any], tuple[int, Any] | None] | None = None
        self.received = 0
        self._extensions = {extension.code: extension for extension in extensions}
        self._packers: list[msgpack.Packer]
        # How many of them are at work in a message, the outermost counted in advance.
        self._depth = 1
        self._inside = 0
        self._sent: list[memoryview] = []
        self._received: Sequence[memoryview] = ()
        # A bound method made once instead of for each message.
        self._hook = self._load
        self._unpack: Callable[[Buffer], Any] = functools.partial(
            msgpack.unpackb, ext_hook=self._load, strict_map_key=False, unicode_errors="surrogatepass"
        )
        self._loaders: dict[int, Callable[[Any], Any]] = {
            _Code.TUPLE: _load_tuple,
            _Code.ARRAY: self._load_array,
            _Code.BUFFERED_ARRAY: self._load_array,
            _Code.VALUE: lambda plain: values.load(*plain),
        }
        self._loaders.update((extension.code, extension.load) for extension in extensions)
        self._loaders.update(loaders)
        self.trim()

    def encode(self, value: Any) -> tuple[bytes, Sequence[memoryview]]:
        """Return the message for ``value`` and the buffers that travel beside it.

        Raises:
            NotPortable: A part of the value has no form on the wire; nothing was sent.
        """
        try:
            # As `_pack` does, without its call: this is on the way of every value.
            message: bytes = self._pack_outermost(value)
        except BaseException as error:
            self._sent = []
            self._depth = 1
            if not isinstance(error, Exception):
                raise
            message = self._encode_again(value)
        sent = self._sent
        if not sent:
            return message, ()
        self._sent = []
        return message, sent

    def _encode_again(self, value: Any) -> bytes:
        """Encode a value with which something is wrong, to say what."""
        self._depth = 0
        try:
            return self._pack(value)
        except NotPortable as error:
            # Where in the packing it was found tells nobody anything.
            self._sent = []
            raise error.with_traceback(None) from None
        except BaseException:
            self._sent = []
            raise
        finally:
            self._depth = 1

    def trim(self) -> None:
        """Give back the memory of the largest message so far, which `encode` keeps for the next."""
        outermost = self._new_packer()
        self._packers = [outermost]
        self._pack_outermost = outermost.pack

    def decode(self, message: Buffer, buffers: Sequence[memoryview] = ()) -> Any:
        """Return the value that ``encode`` was given.

        Raises:
            ProtocolError: The bytes are not a message of ours.
            InstrumentServerError: An extension could not load its object.
        """
        self._received = buffers
        try:
            value = _unpackb(
                message, ext_hook=self._hook, strict_map_key=False, unicode_errors="surrogatepass"
            )
        except InstrumentServerError:
            self._inside = 0
            raise
        except Exception as error:
            self._inside = 0
            raise ProtocolError(f"malformed message: {type(error).__name__}: {error}") from error
        if buffers:
            self._received = ()
        return value

    def _pack(self, value: Any) -> bytes:
        depth = self._depth
        if depth == len(self._packers):
            if depth > _DEEPEST:
                raise NotPortable(
                    f"values more than {_DEEPEST} deep inside one another cannot travel; send them in flatter parts"
                )
            self._packers.append(self._new_packer())
        self._depth = depth + 1
        try:
            packed: bytes = self._packers[depth].pack(value)
        except (ValueError, OverflowError, RecursionError) as error:
            if isinstance(error, NotPortable):
                raise
            self.trim()
            raise NotPortable(
                f"a {type(value).__name__} cannot travel: {error}; send it in smaller or flatter parts"
            ) from error
        self._depth = depth
        return packed

    def _new_packer(self) -> msgpack.Packer:
        return msgpack.Packer(
            default=self._dump, strict_types=True, unicode_errors="surrogatepass", buf_size=4096
        )

    def _dump(self, value: Any) -> msgpack.ExtType:
        kind = type(value)
        if kind is np.float64:
            return msgpack.ExtType(_Code.FLOAT64, _DOUBLE.pack(value))
        if kind is tuple:
            return msgpack.ExtType(_Code.TUPLE, self._pack(list(value)))
        if kind is np.ndarray and not value.dtype.hasobject:
            return self._dump_array(value)
        for extension in self._extensions.values():
            plain = extension.dump(value)
            if plain is not None:
                return msgpack.ExtType(extension.code, self._pack(plain))
        plain = values.form(value)
        if plain is None:
            return self._dump_otherwise(value)
        return msgpack.ExtType(_Code.VALUE, self._pack(plain))

    def _dump_otherwise(self, value: Any) -> msgpack.ExtType:
        """Dump what is of no type of the table."""
        found = None if self.fallback is None else self.fallback(value)
        code, plain = (_Code.VALUE, values.dump(value)) if found is None else found
        return msgpack.ExtType(code, self._pack(plain))

    def _load(self, code: int, data: bytes) -> Any:
        if code == _Code.FLOAT64:
            return np.float64(_DOUBLE.unpack(data)[0])
        loader = self._loaders.get(code)
        if loader is None:
            raise ProtocolError(f"unknown extension code {code}")
        self._inside += 1
        if self._inside > _DEEPEST:
            raise ProtocolError(f"values more than {_DEEPEST} deep inside one another")
        plain = self._unpack(data)
        self._inside -= 1
        return loader(plain)

    def _dump_array(self, array: np.ndarray[Any, Any]) -> msgpack.ExtType:
        fortran = array.flags.f_contiguous and not array.flags.c_contiguous
        flat = np.ascontiguousarray(array.T if fortran else array).reshape(-1)
        raw = flat.view(np.uint8).data if array.nbytes else memoryview(b"")
        shape = list(array.shape)
        dtype = arrays.dump_dtype(array.dtype)
        if array.nbytes < OUT_OF_BAND or len(self._sent) >= _MOST_BUFFERS:
            return msgpack.ExtType(_Code.ARRAY, self._pack([dtype, shape, fortran, bytes(raw)]))
        self._sent.append(raw)
        return msgpack.ExtType(_Code.BUFFERED_ARRAY, self._pack([dtype, shape, fortran, len(self._sent) - 1]))

    def _load_array(self, plain: Any) -> np.ndarray[Any, Any]:
        dtype, shape, fortran, where = plain
        raw = bytearray(where) if isinstance(where, bytes) else self._received[where]
        kind = arrays.load_dtype(dtype)
        if not raw:
            return np.empty(arrays.checked_shape(shape, 0, kind.itemsize), kind)
        flat = np.frombuffer(raw, dtype=kind)
        return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def _load_tuple(items: Any) -> tuple[Any, ...]:
    return tuple(values.as_list(items))
