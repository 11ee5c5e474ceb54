"""Cross margin inside a bar: the account judged at adverse prices, and where its positions close when it fails."""

from typing import TYPE_CHECKING

from backtest.engines.bt.position import Piece, Position, Standing

if TYPE_CHECKING:
    from backtest.engines.bt.account import Account

__all__ = ["forced_closes", "in_breach"]


def in_breach(account: "Account", standings: list[Standing], wallet: float) -> bool:
    """Whether the equity, at the prices of the pieces, is at or below the sum of maintenance there."""
    equity, maintenance = wallet, 0.0
    for p, pieces in standings:
        notional = 0.0
        for piece in pieces:
            equity += p.side * piece.quantity * (piece.price - p.entry)
            if piece.from_stop:
                equity -= piece.quantity * piece.price * piece.fee_rate
            notional += piece.quantity * piece.price
        tiers = account.tiers[p.j]
        maintenance += tiers.maintenance(p.quantity * p.entry if tiers.on_entry else notional)
    return equity <= maintenance


def forced_closes(account: "Account", standings: list[Standing], wallet: float) -> list[tuple[Position, float, float]]:
    """The (position, fill, unslipped) of each close when the account is liquidated inside a bar.

    A single position goes at the worse of its liquidation price and its first price; several at the prices of their pieces.
    """
    if len(standings) == 1:
        p = standings[0].position
        star = account.liquidation_price(p, wallet)
        worse = min(star, p.first) if p.side > 0 else max(star, p.first)
        return [(p, *clamped_fill(account, p, worse))]
    return [(p, *average_fill(account, p, pieces)) for p, pieces in standings]


def clamped_fill(account: "Account", p: Position, price: float) -> tuple[float, float]:
    """The slipped and the unslipped fill at a price, drawn into the range that the last price had."""
    favourable, adverse = account.extremes(p.j, p.side)
    low, high = min(favourable, adverse), max(favourable, adverse)
    price = min(max(price, low), high)
    return account.slipped(price, -p.side), price


def average_fill(account: "Account", p: Position, pieces: list[Piece]) -> tuple[float, float]:
    """The average fill of a position's pieces; a stop's price is slipped already."""
    fills = [
        (piece.price, piece.unslipped) if piece.from_stop else clamped_fill(account, p, piece.price) for piece in pieces
    ]
    if len(pieces) == 1:
        return fills[0]
    total = sum(piece.quantity for piece in pieces)
    fill = sum(piece.quantity * price for piece, (price, _) in zip(pieces, fills, strict=True)) / total
    unslipped = sum(piece.quantity * price for piece, (_, price) in zip(pieces, fills, strict=True)) / total
    return fill, unslipped
