"""Bytes and values: frames, codec, errors and the vocabulary of messages. No sockets, no instruments."""
