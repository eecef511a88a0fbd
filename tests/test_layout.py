import re
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from behemoth import layout
from behemoth.errors import BadName

names = st.one_of(
    st.text(st.characters(blacklist_categories=("Cc", "Cs")), min_size=1, max_size=300),
    st.text("ABab01._-/~", min_size=1, max_size=12),
    st.sampled_from(["CON", "con", "COM1.X", "..", ".", "A.", "../../etc/passwd", "₿", "שקל"]),
)
dates = st.dates(date(1677, 9, 22), date(2262, 4, 10))
DEVICES = re.compile(r"(CON|PRN|AUX|NUL|(COM|LPT)\d)(\..*)?", re.IGNORECASE)


@given(names, names)
@example("btc-usd", "BTC-USD")
@example("straße", "STRASSE")
@example("\u00e9", "e\u0301")
def test_distinct_names_never_share_a_file(a, b):
    """Two names share a file only if they are one name, on any file system."""
    same = layout.encode_name(a).casefold() == layout.encode_name(b).casefold()
    assert same == (a == b)


@given(names)
@example("🚀" * 300)
@example("A" * 300)
@example("con.usd")
@example("../../etc/passwd")
def test_file_names_are_plain(name):
    """A file name has one segment of portable characters, is short, and means no device."""
    encoded = layout.encode_name(name)
    assert re.fullmatch(r"[A-Z0-9._~-]{1,100}", encoded)
    assert not encoded.endswith(".")
    assert not DEVICES.fullmatch(encoded)


@given(names)
def test_encoded_names_are_names(name):
    """An encoded name either is the name itself or carries a digest."""
    encoded = layout.encode_name(name)
    assert encoded == name or re.fullmatch(r"[A-Z0-9_-]{1,40}~[0-9A-F]{32}", encoded)


@pytest.mark.parametrize("name", ["BTC-USD", "ES.2024-06", "A" * 100, "_", "-", ".A", "CONX"])
def test_short_plain_names_map_to_themselves(name):
    """Short names of A-Z, 0-9, dot, underscore and dash are their own file names."""
    assert name == layout.encode_name(name)


@pytest.mark.parametrize(
    "name", ["btc", "A" * 101, ".", "..", "A.", "CON", "NUL.TXT", "COM0", "LPT9", "A B", "A~B"]
)
def test_other_names_carry_a_digest(name):
    """Any other name carries a digest, so that it stays apart."""
    assert "~" in layout.encode_name(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "empty"),
        ("A" * 301, "has 301"),
        ("A\nB", "control character at position 1"),
        ("\x85", "control character"),
        ("\ud800", "surrogate"),
        (7, "not int"),
    ],
)
def test_bad_names(name, message):
    """What cannot be a name is refused in one line that says why."""
    with pytest.raises(BadName, match=message) as caught:
        layout.encode_name(name)
    assert "\n" not in str(caught.value)


@given(names, dates, st.integers(0, 20_000))
@example("A_0001", date(2019, 10, 31), 2)
def test_splay_keys_round_trip(symbol, day, version):
    """A splay's key gives back its date, encoded symbol and version."""
    key = layout.splay_key(symbol, day, version)
    assert (day, layout.encode_name(symbol), version) == layout.parse_splay_key(key)
    assert key.split("/")[0].isdecimal()


@pytest.mark.parametrize(
    "key",
    [
        "2019/02/30/A_0000.h5",
        "2019/10/31/A_00000.h5",
        "2019/10/31/A_000.h5",
        "2019/10/31/a_0000.h5",
        "2019/10/31/A_0000.h5\n",
        "2019/10/A_0000.h5",
        "٢٠١٩/10/31/A_0000.h5",
        "log/0000000057.json",
    ],
)
def test_other_keys_are_no_splays(key):
    """A key that no splay can have is not taken for one."""
    assert layout.parse_splay_key(key) is None


def test_checkpoint_roots_round_trip():
    """A checkpoint root's key gives back its token, and a page's key none."""
    assert layout.parse_root_key(layout.checkpoint_root_key("57-a1b2c3d4")) == "57-a1b2c3d4"
    assert layout.parse_root_key(layout.page_key("5-ab", "", "observations")) is None


def test_log_keys_sort_as_numbers():
    """The order of log keys is the order of commits."""
    numbers = [0, 1, 9, 10, 57, 100, 10**9]
    assert [layout.log_key(n) for n in numbers] == sorted(map(layout.log_key, numbers))


def test_the_log_goes_last():
    """A table is removed with its log last, and its folders are no years."""
    assert layout.FOLDERS[-1] == "log"
    assert not any(folder.isdecimal() for folder in layout.FOLDERS)
