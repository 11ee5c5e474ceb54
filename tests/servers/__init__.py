"""Servers on loopback that answer as the sources of market data document, one file a source."""
