"""What users build on, pinned: public names, the error tree, the format."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys

import pytest

import behemoth
from behemoth import errors
from behemoth.version import FORMAT

TREE = {
    "BehemothError": "Exception",
    "BadRequest": "BehemothError ValueError",
    "BadFrame": "BadRequest",
    "BadName": "BadRequest",
    "NotFound": "BehemothError KeyError",
    "Closed": "BehemothError",
    "ReadOnly": "BehemothError",
    "Conflict": "BehemothError",
    "Corrupt": "BehemothError",
    "CommitUnknown": "BehemothError",
    "EnvironmentFailed": "BehemothError OSError",
    "FeedError": "BehemothError",
    "FeedRefused": "FeedError",
    "FeedUnavailable": "FeedError",
    "BehemothWarning": "UserWarning",
    "ClockBehind": "BehemothWarning",
    "CheckpointIgnored": "BehemothWarning",
}


def test_the_public_names_are_these():
    """Nothing comes or goes unnoticed."""
    assert sorted(behemoth.__all__) == [
        "BiTimestamp",
        "LocalTickstore",
        "MemoryTickstore",
        "Observation",
        "Receipt",
        "Revision",
        "Tickstore",
        "View",
        "__version__",
        "errors",
        "receipt",
    ]


def test_the_verbs_of_a_tickstore_are_these():
    """The seed's shapes, and what the field calls them."""
    public = {name for name in dir(behemoth.LocalTickstore) if not name.startswith("_")}
    assert public == {
        *("insert", "select", "delete", "undelete", "observe", "insert_many", "transaction"),
        *("symbols", "versions", "revisions", "observations", "index", "log", "token"),
        *("diff", "vintages"),
        *("coverage", "gaps"),
        *("at", "tag", "tags", "replay"),
        *("verify", "reindex", "copy", "splays", "to_parquet"),
        *("flush", "close", "destroy"),
    }


def test_the_error_tree_is_this_one_and_its_drawing_is_true():
    """Each class, its bases, and its place in the docstring."""
    found = {
        name: " ".join(base.__name__ for base in thing.__bases__)
        for name, thing in inspect.getmembers(errors, inspect.isclass)
        if thing.__module__ == errors.__name__
    }
    assert found == TREE
    drawn = set(re.findall(r"\b(?!UserWarning)[A-Z][A-Za-z]+(?=\s| \()", errors.__doc__ or ""))
    assert set(TREE) <= drawn | {"BehemothError", "BehemothWarning"}


@pytest.mark.parametrize("name", [name for name in TREE if name.endswith("Error") or "Bad" in name])
def test_an_error_is_one_line_and_says_what_it_is_about(name):
    """A KeyError too prints its message as it is; symbol, date and version are attributes."""
    error = getattr(errors, name)("what happened", symbol="A", version=3)
    assert str(error) == "what happened"
    assert (error.symbol, error.date, error.version) == ("A", None, 3)


def test_the_format_is_number_three():
    """A change of format is a decision, and keeps reading every older file."""
    assert FORMAT == 4


def test_importing_the_library_does_not_load_the_command_line_or_the_exchange():
    """A notebook that only reads ticks pays for nothing else."""
    code = "import sys, json, behemoth; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", code]))
    assert not {"httpx", "typer", "rich", "tenacity", "behemoth.cli", "behemoth.research"} & set(
        loaded
    )
