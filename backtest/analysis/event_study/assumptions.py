"""What every number of a study rests on, in sentences."""

from backtest.analysis.event_study.inference import effect_of_means, events_needed
from backtest.analysis.event_study.settings import Settings

__all__ = ["assumptions"]


def assumptions(settings: Settings, interval: int) -> tuple[str, ...]:
    """Return what was taken for granted, a sentence each."""
    s, bars = settings, settings.reclaim_bars(interval)
    needed = events_needed(s.effect, 0.5, s.power, s.size)
    lasting = " and ".join(s.permanent)
    return (
        f"A break is {rule_words(s)}; the margin is max({s.buffer:.2%} of the level, {s.buffer_atr:g} ATR). A reclaim is a close"
        f" above the level by the margin; within {bars} bars it makes the break a false one.",
        f"A touch is a bar within {s.zone:g} ATR of the level after a close {s.away:g} ATR above it, {s.touch_bars} bars or more"
        f" after the last; it is a bounce when a close {s.leave:g} ATR above comes before the break. What comes back before"
        " that is the same touch. What a level has been through is read off the path before it was known, too.",
        f"Levels within {s.merge:.2%} of an older one that still lives count as that one; a level has one break in {bars} bars."
        f" Levels retire {s.life_days:g} days after they became known or with return number {s.round_trips}; {lasting} do not.",
        f"Moves start at the open of the bar after the event, in ATRs of {s.atr_bars} bars at the event; up is positive.",
        "The next level is the highest one of the same set that is known, intact and below both level and close; it is reached"
        " by a close. What was undecided at the end of the data is left out of the shares; so is, of that of false breaks,"
        f" every break with fewer than {bars} bars after it, whatever came of it.",
        "The wait for the next level goes on through reclaims; only the end of the data censors it (Kaplan-Meier).",
        "Intervals of shares are Wilson's, as though events were independent, so that they are rather too narrow; those of means"
        " come from drawing whole days anew. All are of 95%.",
        "Placebo levels keep symbol, kind, side, bar of birth and length of life of the real ones; distances in ATRs are dealt"
        " anew within a kind and side, a grid of round numbers is moved as a whole as far as every level keeps its side, and"
        " prices are those of a ladder with steps of 0.1%.",
        f"The martingale: chance = (L + margin - close + b) / (L + margin - next + 2b), b = 0.5826 sigma, sigma of the"
        f" {s.sigma_bars} bars before the event; normal steps of one size are assumed. The variance of its test"
        " is the sum of the squared steps that prices made while events waited, so that what waits together counts once.",
        "p is two-sided, twice the smaller of both one-sided p = (1 + #{T* >= T}) / (1 + N). Holm and BH adjust for all the"
        " tests of this study, not for those of studies made before it.",
        f"Enough events: to find a difference of {100 * s.effect:.1f} points between shares near a half with power {s.power:.0%} at"
        f" {s.size:.0%}, about {needed:,} in each arm. As many find a difference of"
        f" {effect_of_means(needed, s.power, s.size):.1%} of a standard deviation between means.",
    )


def rule_words(settings: Settings) -> str:
    s = settings
    said = {
        "wick": "a low below the level less a margin",
        "close": "a close below the level less a margin",
        "n_closes": f"close number {s.closes} in a row below the level less a margin",
        "retest": "a close below the level less a margin after a return to it from below",
        "reclaim": "a close above the level after one below it, the margin each time",
    }[s.rule]
    return f"{said}, on {s.volume:g} times the usual volume" if s.volume else said
