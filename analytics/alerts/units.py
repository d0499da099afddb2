"""Times as people read them."""

from datetime import timedelta


def seconds(milliseconds: float) -> str:
    """``2410`` → ``2.41 s``."""
    value = milliseconds / 1000
    return f"{value:.0f} s" if 1000 <= value < 10**9 else f"{value:.3g} s"


def duration(value: timedelta) -> str:
    """The two largest units: ``45 s``, ``5 min``, ``1 h 30 min``, ``2 d``; ``-5 s`` if negative."""
    left = round(abs(value.total_seconds()))
    parts = []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        amount, left = divmod(left, length)
        if amount:
            parts.append(f"{amount} {unit}")
    sign = "-" if value < timedelta(0) else ""
    return sign + (" ".join(parts[:2]) or "0 s")
