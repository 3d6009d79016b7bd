"""Judgement, pure: facts and rules in, verdicts out. No clock, file or socket; `now` is passed in."""
