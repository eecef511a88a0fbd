"""Exchanges: asking them, and filling a tickstore from them.

`coinbase` has the questions, `asking` the manners, `ratelimit` the pace; `answers` and `candles`
say what comes back. `plan` decides what a download asks, `believing` whether an empty answer is
true, `fetching` asks windows side by side, `downloader` stores the days, `summary` is what it
tells. `verifying` asks again for what is `stored`, `settling` writes what came of it,
`verification` is what it tells. `files` imports what people already have. `sandbox` is an exchange
of our own on this machine. How a tickstore keeps ticks does not live here.
"""

from behemoth.feeds.asking import Counts
from behemoth.feeds.candles import Candles, Window, table_name
from behemoth.feeds.coinbase import PUBLIC_RATE, PUBLIC_URL, CoinbaseClient
from behemoth.feeds.downloader import download, download_many, plan_download
from behemoth.feeds.files import (
    PRESETS,
    BadRow,
    ImportProgress,
    ImportSummary,
    candle_format,
    import_candles,
    parse_columns,
)
from behemoth.feeds.plan import KnownFrom, Plan
from behemoth.feeds.ratelimit import TokenBucket
from behemoth.feeds.summary import Progress, Shortfall, Summary
from behemoth.feeds.verification import Verification, VerifiedDay
from behemoth.feeds.verifying import verify_source

__all__ = [
    "PRESETS",
    "PUBLIC_RATE",
    "PUBLIC_URL",
    "BadRow",
    "Candles",
    "CoinbaseClient",
    "Counts",
    "ImportProgress",
    "ImportSummary",
    "KnownFrom",
    "Plan",
    "Progress",
    "Shortfall",
    "Summary",
    "TokenBucket",
    "Verification",
    "VerifiedDay",
    "Window",
    "candle_format",
    "download",
    "download_many",
    "import_candles",
    "parse_columns",
    "plan_download",
    "table_name",
    "verify_source",
]
