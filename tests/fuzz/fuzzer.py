"""One target under atheris, in a process of its own. The arguments are libFuzzer's, but for the name of the target."""

import logging
import sys
import typing
import warnings
from functools import cache
from importlib import import_module

import atheris
import publicsuffixlist

from .mutate import mutate_json

INSTRUMENTED = ["exporter", "yaml"]
"""Packages whose branches lead the fuzzer."""


def main() -> None:
    """Fuzz until libFuzzer ends the process."""
    target = sys.argv[1]
    warnings.simplefilter("ignore")  # re warns about patterns of operators
    logging.disable()
    with atheris.instrument_imports(include=INSTRUMENTED, enable_loader_override=False):
        check = import_module(f"tests.fuzz.{target}").check
        fields = import_module("exporter.config.fields")
    if target == "configuration":
        vars(fields)["get_type_hints"] = cache(typing.get_type_hints)  # half of the time, for the same few classes
    if target == "tokens":
        vars(publicsuffixlist)["PublicSuffixList"] = cache(publicsuffixlist.PublicSuffixList)  # a second to read
    how = {"custom_mutator": _json_mutator} if target == "reader" else {}
    # A merge starts itself again: what stands first is put before its arguments, for a shell.
    atheris.Setup([f"'{sys.executable}' -m tests.fuzz.fuzzer {target}", *sys.argv[2:]], check, **how)
    atheris.Fuzz()


def _json_mutator(data: bytes, limit: int, seed: int) -> bytes:
    return mutate_json(data, limit, seed, atheris.Mutate)


if __name__ == "__main__":
    main()
