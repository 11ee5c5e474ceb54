"""The quality of a series in figures: gaps, jumps, stale runs, bad rows, and whether a second source agrees."""
