"""The Pyro gateway: objects served by a server as Pyro5 objects, as TimeTaggerRPC shows the Time Tagger's."""

from .gateway import DEFAULT_ID, DEFAULT_PORT, Gateway

__all__ = ["DEFAULT_ID", "DEFAULT_PORT", "Gateway"]
