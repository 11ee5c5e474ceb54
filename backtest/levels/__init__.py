"""Support levels, each known from a time on, and what happens at them."""

from backtest.levels.atr import atr
from backtest.levels.avwap import Avwap, anchored_vwap, avwap
from backtest.levels.bounces import Bounce, Bounces, bounces
from backtest.levels.breaks import RULES, Break, BreakEvents, Breaks, break_events, breaks
from backtest.levels.catalogue import DETECTORS
from backtest.levels.cluster import Cluster, cluster
from backtest.levels.compose import Composed
from backtest.levels.detector import Detector
from backtest.levels.donchian import Donchian, donchian
from backtest.levels.fixed import fixed
from backtest.levels.fractal import Fractal, fractal, fractal_lows
from backtest.levels.life import Life, LifeRules, life
from backtest.levels.pivot import Pivot, pivot, pivot_points
from backtest.levels.prior import Prior, prior
from backtest.levels.profile import Profile, VolumeProfile, profile, volume_profile
from backtest.levels.round_numbers import RoundNumbers, round_grid, round_numbers
from backtest.levels.spec import named_levels, read_levels
from backtest.levels.table import ALWAYS, NEVER, Level, Levels
from backtest.levels.turning import turning_points
from backtest.levels.zigzag import Zigzag, zigzag

__all__ = [
    "ALWAYS",
    "DETECTORS",
    "NEVER",
    "RULES",
    "Avwap",
    "Bounce",
    "Bounces",
    "Break",
    "BreakEvents",
    "Breaks",
    "Cluster",
    "Composed",
    "Detector",
    "Donchian",
    "Fractal",
    "Level",
    "Levels",
    "Life",
    "LifeRules",
    "Pivot",
    "Prior",
    "Profile",
    "RoundNumbers",
    "VolumeProfile",
    "Zigzag",
    "anchored_vwap",
    "atr",
    "avwap",
    "bounces",
    "break_events",
    "breaks",
    "cluster",
    "donchian",
    "fixed",
    "fractal",
    "fractal_lows",
    "life",
    "named_levels",
    "pivot",
    "pivot_points",
    "prior",
    "profile",
    "read_levels",
    "round_grid",
    "round_numbers",
    "turning_points",
    "volume_profile",
    "zigzag",
]
