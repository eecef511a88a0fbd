"""What an HTTP answer means, decided from values."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from behemoth.feeds.answers import PassingFailure, Refusal, judge, read_time, retry_after
from behemoth.feeds.candles import BrokenAnswer

MIDNIGHT = "Thu, 31 Oct 2019 00:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "Thu, 31 Oct 2019 00:00:09 GMT", "date": MIDNIGHT}, 9.0),
        ({"retry-after": "Wed, 30 Oct 2019 23:59:59 GMT", "date": MIDNIGHT}, None),
        ({"retry-after": "Thu, 31 Oct 2019 00:00:09 GMT"}, None),
        ({"retry-after": "soon", "date": MIDNIGHT}, None),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-3"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_against_the_answers_own(headers, seconds):
    """What cannot be understood, or is over, asks for no rest."""
    assert retry_after(headers) == seconds


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_some_statuses_pass(status):
    """Only a 429 means that all must slow down."""
    with pytest.raises(PassingFailure) as caught:
        judge(httpx.Response(status, json={"message": "later"}, headers={"Retry-After": "3"}))
    assert (caught.value.status, caught.value.rest) == (status, 3.0)
    assert caught.value.limited == (status == 429)


@pytest.mark.parametrize("status", [204, 301, 400, 401, 403, 404, 405, 418, 451])
def test_all_other_statuses_but_200_are_refusals(status):
    """A page that has moved and a body that is not there are no candles either."""
    judge(httpx.Response(200))
    with pytest.raises(Refusal, match=f"{status} 'no'"):
        judge(httpx.Response(status, json={"message": "no"}))


@pytest.mark.parametrize(
    "body",
    [b'{"iso": "2019-10-31T12:00:00.000Z", "epoch": 1572523200}', b'{"iso": "2019-10-31T12:00"}'],
)
def test_the_time_in_a_body_is_utc(body):
    """A time without a zone too."""
    noon = datetime(2019, 10, 31, 12, tzinfo=UTC)
    assert read_time(httpx.Response(200, content=body)) == noon


@pytest.mark.parametrize("year", ["99999999999999999999", "10000"])
def test_a_date_of_no_year_that_there_is_tells_nothing(year):
    """The body does then."""
    headers = {"Date": f"Thu, 31 Oct {year} 00:00:00 GMT"}
    answer = httpx.Response(200, content=b'{"iso": "2019-10-31T12:00:00Z"}', headers=headers)
    assert read_time(answer) == datetime(2019, 10, 31, 12, tzinfo=UTC)


def test_the_date_of_another_answer_tells_the_time():
    """To the second."""
    answer = httpx.Response(404, headers={"Date": MIDNIGHT})
    assert read_time(answer) == datetime(2019, 10, 31, tzinfo=UTC)


@pytest.mark.parametrize(("hour", "told"), [(11, 11), (12, 12), (13, 12)])
def test_of_a_body_and_its_date_the_earlier_one_tells_the_time(hour, told):
    """A day that is not over by one of them is not over."""
    answer = httpx.Response(
        200,
        json={"iso": f"2019-10-31T{hour}:00:00Z"},
        headers={"Date": "Thu, 31 Oct 2019 12:00:00 GMT"},
    )
    assert read_time(answer) == datetime(2019, 10, 31, told, tzinfo=UTC)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404),
        httpx.Response(404, headers={"Date": "today"}),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"iso": 3}),
        httpx.Response(200, json={"iso": "noon"}),
    ],
)
def test_an_answer_that_tells_no_time_is_broken(answer):
    """Nothing is guessed."""
    with pytest.raises(BrokenAnswer):
        read_time(answer)
