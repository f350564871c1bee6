"""Which proxies this process holds; how an address becomes a proxy."""

from __future__ import annotations

import atexit
import copyreg
import functools
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol
from weakref import WeakValueDictionary

from qcodes.instrument import ChannelTuple, Instrument, InstrumentBase
from qcodes.parameters import Function, ParameterBase

from instrumentserver.directory import Directory
from instrumentserver.errors import InstrumentServerError, NotPortable, UnknownName
from instrumentserver.schema import InstrumentSchema, validator_extension, vector_extension
from instrumentserver.transport.address import Address
from instrumentserver.wire.codec import Codec, Extension
from instrumentserver.wire.messages import HANDLE_CODE, Op
from instrumentserver.wire.shipping import CODE_REFUSAL, code_extension

from .attribute import RemoteAttribute, get_attribute, place_of
from .channels import RemoteChannelList, RemoteChannelTuple
from .function import RemoteFunction
from .held import take_held
from .instrument import RemoteInstrument
from .link import Link
from .module import RemoteModule
from .objects.functions import form as function_form
from .objects.proxy import RemoteObject, find_at
from .objects.registry import handle_codec, link_with
from .parameter import RemoteParameter
from .parameter_kinds import (
    RemoteArrayParameter,
    RemoteBaseParameter,
    RemoteDelegateParameter,
    RemoteInstrumentRefParameter,
    RemoteMultiParameter,
    RemoteParameterWithSetpoints,
)
from .session import Session, session_with
from .special import on_new_class, with_special_methods
from .tree import build_part

__all__ = [
    "address_of",
    "find_proxy",
    "find_proxy_at",
    "forget_dead",
    "forget_gone",
    "open_session",
    "proxies",
    "set_home",
    "take_schema",
]

_roots: Final[WeakValueDictionary[tuple[Session, str], RemoteInstrument]] = WeakValueDictionary()
_building: Final[set[tuple[Session, str]]] = set()
_guard: Final = threading.RLock()
_PROXIES: Final = (
    RemoteInstrument,
    RemoteModule,
    RemoteParameter,
    RemoteParameterWithSetpoints,
    RemoteArrayParameter,
    RemoteBaseParameter,
    RemoteDelegateParameter,
    RemoteInstrumentRefParameter,
    RemoteMultiParameter,
    RemoteFunction,
    RemoteChannelTuple,
    RemoteChannelList,
    RemoteObject,
)


class Home(Protocol):
    """The server that this process is, if it is one.

    Attributes:
        address: Its address.
    """

    address: str

    def is_own(self, address: str) -> bool:
        """Return whether an address is one of the server's."""

    def path_of(self, thing: object) -> str | None:
        """Return the path of a part of one of its instruments, None for anything else."""

    def thing_at(self, path: str) -> object:
        """Return what a path leads to."""


_home: Final[list[Home]] = []


def set_home(home: Home) -> None:
    """Have this process's own instruments travel to other servers as handles, and come back as themselves."""
    _home[:] = [home]


def open_session(address: str) -> Session:
    """Return this process's session with the server at an address; it need not be there yet."""
    return session_with(address, new_codec)


def new_codec(session: Session) -> Codec:
    """Return a codec for a connection that sends proxies as handles and receives handles as proxies."""
    codec = handle_codec(
        session,
        [
            Extension(HANDLE_CODE, functools.partial(_dump, session), _load),
            validator_extension(to_server=True),
            vector_extension(),
            code_extension(CODE_REFUSAL if session.is_remote else ""),
        ],
    )
    codec.fallback = functools.partial(_dump_otherwise, session)
    return codec


def address_of(thing: object) -> Address | None:
    """Return the address of a proxy, None for any other object."""
    if issubclass(type(thing), _PROXIES):
        link: Link | None = vars(thing).get("_link")
        if link is not None:
            return link.address(vars(thing)["_path"])
    return None


def find_proxy(address: Address) -> Any:
    """Return the proxy of an instrument or of a part of one; the same object every time.

    Raises:
        UnknownName: There is no such part, or no such instrument.
        ConnectFailed: Its server is not running.
    """
    name, *parts = address.path.split(".")
    session = open_session(address.server)
    thing: Any = _roots.get((session, name))
    if thing is None and (name[:1] == "@" or link_with(session).known(name) is not None):
        return link_with(session).known(address.path) or link_with(session).find(address.path)
    if thing is None:
        try:
            with _guard:
                thing = _roots.get((session, name)) or take_schema(
                    session, session.request([Op.SCHEMA, name])[1]
                )
        except UnknownName:
            return link_with(session).find(address.path)
    if parts and parts[0].startswith("#"):
        thing = _loose_part(thing, f"{name}.{parts.pop(0)}")
    for part in parts:
        thing = _step(thing, part, address)
    return thing


def _loose_part(root: RemoteInstrument, path: str) -> Any:
    """Return the proxy of a part that the driver keeps without having added it to the instrument."""
    known = root._loose.get(path)
    if known is not None:
        return known
    schema = root._link.request(Op.PART, path)
    server = root._link.session.address
    above = find_proxy(Address(server, schema.parent)) if schema.parent else None
    modules = dict(root._modules)
    if schema.channels is not None:
        modules.update({place: find_proxy(Address(server, place)) for place in schema.channels.channels})
    return root._loose.setdefault(path, build_part(root, path, schema, modules, above))


def find_proxy_at(address: str) -> Any:
    """Return the proxy for an address in text; what pickled proxies are made of again."""
    return find_proxy(Address.parse(address))


def take_schema(session: Session, schema: InstrumentSchema) -> RemoteInstrument:
    """Return the proxy for an instrument whose schema has come, made or brought up to date."""
    name = schema.modules[0].path
    with _guard:
        root = _roots.get((session, name))
        if root is not None and root._is_built:
            root._link.take(schema)
            return root
        if not _roots:
            # After QCoDeS's own, so before it: QCoDeS closes what is in its registry when Python ends.
            atexit.unregister(_leave_instruments_running)
            atexit.register(_leave_instruments_running)
        link = Link(session, name, schema)
        link.find_lent = _find_lent
        link.stand_for = functools.partial(take_held, link)
        _building.add((session, name))
        try:
            cls = with_special_methods(RemoteInstrument, tuple(schema.modules[0].special))
            made: RemoteInstrument = cls(link, schema)
        finally:
            _building.discard((session, name))
        _roots[session, name] = made
        return made


def _find_lent(address: str) -> Any:
    """Return the proxy of a parameter that one instrument lends to another."""
    parsed = Address.parse(address)
    root = parsed.path.partition(".")[0]
    if (open_session(parsed.server), root) in _building:
        # It lends to itself, or to one that lends to it: the borrower makes a proxy of its own.
        return None
    try:
        return _load(address)
    except InstrumentServerError:
        return None


def proxies() -> list[RemoteInstrument]:
    """Return the remote instruments that this process holds."""
    return list(_roots.values())


def forget_gone() -> None:
    """Take proxies of instruments that exist no more out of QCoDeS's registry, where servers have ended."""
    directory = Directory.default()
    for root in proxies():
        scheme, _, name = root._link.session.address.partition(":")
        if (
            scheme == "unix"
            and Instrument._all_instruments.get(root.name) is root
            and directory.find(name) is None
        ):
            root._forget()


def forget_dead(name: str, session: Session) -> None:
    """Take the proxy of an instrument that exists no more out of QCoDeS's registry, so that its name is free.

    Args:
        name: The instrument's name.
        session: With the server that shall have an instrument of that name, and has none. A proxy of
            an earlier one there stays: it will stand for the new one.

    Raises:
        KeyError: The name belongs to an instrument that does exist.
    """
    taken: Any = Instrument._all_instruments.get(name)
    if taken is None:
        return
    if issubclass(type(taken), RemoteInstrument):
        if taken._link.session is session:
            return
        try:
            if name not in taken._link.session.request([Op.INSTRUMENTS, ""])[1]:
                taken._forget()
                return
        except InstrumentServerError:
            taken._forget()
            return
    raise KeyError(f"Another instrument has the name: {name}; it is {taken!r}")


def _step(thing: Any, part: str, address: Address) -> Any:
    if isinstance(thing, ChannelTuple):
        if part.isdigit() and int(part) < len(thing):
            return thing[int(part)]
        for _ in range(2):
            found = [channel for channel in thing if channel.short_name == part]
            if found:
                return found[0]
            # It may have come with the call whose answer names it.
            thing._link.refresh()  # type: ignore[attr-defined]
    elif isinstance(thing, InstrumentBase):
        if not _has(thing, part):
            thing._link.refresh()  # type: ignore[attr-defined]
        for named in (thing.parameters, thing.functions, thing.submodules):
            if part in named:
                return named[part]
    raise UnknownName(f"{address} leads nowhere: {thing!r} has no {part!r}")


def _has(thing: InstrumentBase, part: str) -> bool:
    return part in thing.parameters or part in thing.functions or part in thing.submodules


def _dump(session: Session, value: object) -> Any:
    address = address_of(value)
    if address is not None:
        return session.told(address)
    if issubclass(type(value), RemoteAttribute):
        return place_of(value)
    if isinstance(value, InstrumentBase | ParameterBase | ChannelTuple | Function):
        for home in _home:
            path = home.path_of(value)
            if path is not None:
                return session.told(Address(home.address, path))
        raise NotPortable(
            f"{value!r} lives in this process only and cannot be used by a server; "
            f"create its instrument with server_name=..., then a handle of it can travel"
        )
    return None


def _dump_otherwise(session: Session, value: object) -> tuple[int, Any] | None:
    """Return code and plain values for an object that this process serves, or a function of its own."""
    for home in _home:
        path = home.path_of(value)
        if path is not None:
            return HANDLE_CODE, session.told(Address(home.address, path))
    return function_form(session, value)


def _load(plain: Any) -> Any:
    if isinstance(plain, list):
        return get_attribute(_load(plain[0]), plain[1])
    address = Address.parse(plain)
    for home in _home:
        if address.server == home.address or home.is_own(address.server):
            return home.thing_at(address.path)
    return find_proxy(address)


def _leave_instruments_running() -> None:
    for root in proxies():
        root.remove_instance(root)


def _reduce(proxy: Any) -> tuple[Callable[[str], Any], tuple[str]]:
    address = address_of(proxy)
    if address is None:
        raise NotPortable(f"{proxy!r} was closed and cannot be pickled")
    return find_proxy_at, (str(address),)


def _make_picklable(kind: type) -> None:
    copyreg.pickle(kind, _reduce)


for _kind in _PROXIES[:-1]:
    _make_picklable(_kind)
find_at.append(find_proxy)
on_new_class.append(_make_picklable)
