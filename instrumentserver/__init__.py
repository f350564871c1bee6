"""QCoDeS instruments in server processes, and proxies that QCoDeS cannot tell from the real thing."""
