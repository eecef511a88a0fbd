"""The command ``sandbox``: an exchange on this machine, to try things out without a network."""

from __future__ import annotations

import signal
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from behemoth.errors import BadRequest
from behemoth.feeds.sandbox import FAULTS, Faults, Sandbox, Tape, read_tape
from behemoth.feeds.sandbox.faults import in_words


def sandbox(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes any that is free.")] = 8018,
    candles: Annotated[
        Path | None,
        typer.Option(
            help="Serve these recorded one-minute candles (CSV) instead of invented ones."
        ),
    ] = None,
    product: Annotated[
        str, typer.Option(help="The product that the recorded candles are of.")
    ] = "BTC-USD",
    now: Annotated[
        str | None,
        typer.Option(help="The exchange's time at the start (UTC); by default, the present."),
    ] = None,
    latency: Annotated[float, typer.Option(help="Seconds until each answer.")] = 0.0,
    rate: Annotated[float, typer.Option(help="Requests a second before a 429.")] = 10.0,
    burst: Annotated[int, typer.Option(help="Requests at once after a rest.")] = 15,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=RATE]",
            help="Let something go wrong; may be given again. all is every fault without a date.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed is another night.")] = 0,
) -> None:
    """Run a sandbox exchange on 127.0.0.1 until Ctrl-C.

    It answers as the Coinbase Exchange does, rate limit and errors included, from a market that is
    the same on every machine, or from recorded candles.

    Example: [bold]behemoth sandbox --port 8018[/bold]

    Another: [bold]behemoth sandbox --fault all --fault empty=0.5 --seed 7[/bold]

    What can go wrong, and how often unless told otherwise:
    """
    faults = Faults.parse(fault or (), seed)
    market = None if candles is None else Tape(product, read_tape(candles))
    ended = threading.Event()
    before = {
        number: signal.signal(number, lambda _number, _frame: ended.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with Sandbox(
            market,
            port=port,
            now=_time(now),
            latency=latency,
            rate=rate,
            burst=burst,
            faults=faults,
        ) as exchange:
            typer.echo(f"sandbox exchange at {exchange.url}")
            first = exchange.market.products[0]
            day = exchange.market.listed(first)
            typer.echo(
                f"try: behemoth download {first} {day} {day} --db sandbox-db "
                f"--api-url {exchange.url}"
            )
            while not ended.wait(3600):
                pass
            _tell(exchange)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


sandbox.__doc__ = f"{sandbox.__doc__}" + "".join(
    f"\n    - {name}: {in_words(fault)}\n" for name, fault in FAULTS.items()
)


def _tell(exchange: Sandbox) -> None:
    """Say what was answered, and what of it the rate limit and the faults did."""
    counted = ", ".join(f"{count} x {status}" for status, count in exchange.counts.items())
    typer.echo(f"answered {counted or 'nothing'}; {exchange.over_limit} over the rate limit")
    if exchange.faults.chosen:
        met = ", ".join(f"{count} x {name}" for name, count in exchange.faults_met.items())
        typer.echo(f"faults {met or 'none'}")


def _time(text: str | None) -> datetime | None:
    try:
        if text is None:
            return None
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRequest(f"--now looks like 2019-11-01T12:00, not {text!r}") from error
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time
