"""Gateways: what lives on servers, shown through other people's protocols."""
