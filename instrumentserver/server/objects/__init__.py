"""Served objects: any object of Python on a server, and everything that calls on it return."""

from .access import ClientIdentity, ObjectCall
from .objects import Objects

__all__ = ["ClientIdentity", "ObjectCall", "Objects"]
