"""Speed, bytes and memory beside the peers, side by side in one run.

`samples` has the data, `way` what a contender is, `ours` and `peers` the contenders, `session` the
process that each works in, `measuring` and `further` the rounds, `figures` the arithmetic and the
bars, `stages` where a select's time goes, `report` and `plot` what is shown.
"""
