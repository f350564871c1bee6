"""What a client holds of served objects: proxies, and who has which."""
