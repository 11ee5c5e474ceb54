"""Where an account stands in its market, and what things cost there."""

from backtest.engines.bt.position import Position
from backtest.engines.bt.tape import Segment, Tape

__all__ = ["Quotes"]

NAN = float("nan")


class Quotes:
    """The prices of the bar, or finer bar, being walked; where a symbol is halted, its last close stands in.

    seg: the stretch being walked; last: each symbol's last close that a position of it has seen; slippage: a fraction.
    """

    def __init__(self, tape: Tape, slippage: float) -> None:
        self.tape = tape
        self.seg = Segment(tape.columns)
        self.last = [NAN] * len(tape.symbols)
        self.slippage = slippage

    def halted(self, j: int) -> bool:
        """Whether the symbol has no prices here."""
        price = self.seg.opens[j][self.seg.k]
        return price != price

    def last_open(self, j: int) -> float:
        """The open, in a halt the last close."""
        price = self.seg.opens[j][self.seg.k]
        return price if price == price else self.last[j]

    def mark_open(self, j: int) -> float:
        """The mark's open (no mark: the open), in a halt the last close."""
        price = self.seg.mark_opens[j][self.seg.k]
        return price if price == price else self.last[j]

    def mark_close(self, j: int) -> float:
        """The mark's close (no mark: the close), in a halt the last close."""
        price = self.seg.mark_closes[j][self.seg.k]
        return price if price == price else self.last[j]

    def adverse_mark(self, p: Position) -> float:
        """The mark's worst price of the bar for a position; in a halt the last close."""
        prices = self.seg.mark_lows if p.side > 0 else self.seg.mark_highs
        price = prices[p.j][self.seg.k]
        return price if price == price else self.last[p.j]

    def extremes(self, j: int, side: int) -> tuple[float, float]:
        """The favourable and the adverse extreme of the last price; in a halt the last close twice."""
        high, low = self.seg.highs[j][self.seg.k], self.seg.lows[j][self.seg.k]
        if high != high:
            return self.last[j], self.last[j]
        return (high, low) if side > 0 else (low, high)

    def slipped(self, price: float, direction: int) -> float:
        """What a market order to buy (+1) or to sell (-1) pays where the price stands."""
        return price * (1 + direction * self.slippage)
