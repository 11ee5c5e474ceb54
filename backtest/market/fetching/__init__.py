"""Fetching: what a market file needs, asked of its sources page by page, and what came of it."""
