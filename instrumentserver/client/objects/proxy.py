"""The proxy of an object that lives on a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from instrumentserver.errors import NotPortable
from instrumentserver.transport.address import Address
from instrumentserver.wire.messages import Op

from .functions import request_with_functions

if TYPE_CHECKING:
    from instrumentserver.client.session import Session

    from .registry import ObjectLink
    from .releasing import Held

__all__ = ["RemoteObject"]


class RemoteObject:
    """Stands for an object on a server, which keeps it as long as somebody has a proxy of it.

    Any number of threads may use a proxy. There is one of each object in a process. Two proxies are equal if they stand
    for the same object. A pickled proxy is the address: whoever loads it, in any process, gets a proxy of the same
    object, if somebody has had one all the time.
    """

    _link: ObjectLink
    _path: str
    _held: Held

    @property
    def uri(self) -> str:
        """The address, by which `instrumentserver.Proxy` finds the same object in any other process."""
        return f"{self._link.session.address}/{self._path}"

    _pyroUri = uri

    @property
    def _session(self) -> Session:
        return self._link.session

    def _call(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], token: int = 0) -> Any:
        """Call a method on the server; "" calls the object itself."""
        link = self._link
        request: list[Any] = [Op.OBJECT_CALL, self._path, name, list(args), kwargs]
        if token:
            request.append(token)
        try:
            return link.request(request)[1]
        except NotPortable as error:
            # A function of ours may be among the arguments; then nothing was sent.
            return request_with_functions(link.session, request, error, link.request)[1]

    def _get(self, name: str) -> Any:
        return self._link.request([Op.OBJECT_GET, self._path, name])[1]

    def _set(self, name: str, value: Any) -> None:
        request = [Op.OBJECT_SET, self._path, name, value]
        try:
            self._link.request(request)
        except NotPortable as error:
            request_with_functions(self._link.session, request, error, self._link.request)

    def _delete(self, name: str) -> None:
        self._link.request([Op.OBJECT_DELETE, self._path, name])

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not issubclass(type(other), RemoteObject):
            return NotImplemented
        mine, others = vars(self), vars(other)
        return mine["_link"] is others["_link"] and bool(mine["_path"] == others["_path"])

    def __hash__(self) -> int:
        return hash((self._link, self._path))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return _found_at, (self.uri,)

    def __reduce_ex__(self, protocol: object) -> tuple[Callable[[str], Any], tuple[str]]:
        return _found_at, (self.uri,)

    # What programs written for Pyro do with their proxies

    def _pyroClaimOwnership(self) -> None:
        """Do nothing: any thread may use a proxy."""

    def _pyroRelease(self) -> None:
        """Do nothing: connections are shared and close by themselves."""

    def _pyroBind(self) -> bool:
        """Return True: a proxy is always bound."""
        return True


find_at: list[Callable[[Address], Any]] = []
"""How an address becomes a proxy; put here by the registry, which knows all kinds of proxies."""


def _found_at(uri: str) -> Any:
    return find_at[0](Address.parse(uri))
