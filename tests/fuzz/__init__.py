"""Fuzzing: what comes from outside, mutated by atheris as the code covered by it says, and what must hold of any input.

`make fuzz` runs every target. A target is a module with a function `check`, which raises on a broken rule; it knows
nothing of atheris, so that inputs which once broke a rule are plain tests.
"""
