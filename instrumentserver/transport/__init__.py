"""Connections between processes: sockets, the opening words, the token."""
