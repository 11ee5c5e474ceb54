"""Where the shipped files lie, in a checkout and in an installed wheel."""

from pathlib import Path

__all__ = ["shipped"]


def shipped(folder: str) -> Path:
    """Return the folder of shipped files (`strategies`, `data/markets`, ...): inside the wheel, else beside the package."""
    package = Path(__file__).parent
    inside = package / folder
    return inside if inside.is_dir() else package.parent / folder
