"""Files of candles that people already have, CSV and Parquet, on their way into a tickstore.

Left to right: `opening` gives a file's bytes, `formats` says which column is what, `text` and
`parquet` read rows by the rules of `judging` and hand them on as `pieces`, `spooling` puts them
aside and settles each day, `days` says which may be replaced, `importing` commits them, `summary`
is what it tells. Exchanges do not live here.
"""

from behemoth.feeds.files.formats import PRESETS, candle_format, parse_columns
from behemoth.feeds.files.importing import import_candles
from behemoth.feeds.files.pieces import BadRow
from behemoth.feeds.files.summary import ImportProgress, ImportSummary

__all__ = [
    "PRESETS",
    "BadRow",
    "ImportProgress",
    "ImportSummary",
    "candle_format",
    "import_candles",
    "parse_columns",
]
