"""The EPICS gateway: parameters of instruments as process variables, by Channel Access and by PVAccess."""

from .gateway import Gateway

__all__ = ["Gateway"]
