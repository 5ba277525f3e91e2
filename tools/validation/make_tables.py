#!/usr/bin/env python3
"""Turns a folder of reference tables into scenarios/validation: a template and a CSV of rows for each source.

    make_tables.py REFERENCE_FOLDER [OUTPUT_FOLDER]

The reference folder holds measured/training_steps.csv and published/*.csv, one run a row. The written files stand
alone: nothing reads the reference folder afterwards. Prints how many rows each table holds and excludes, and refuses
rows whose numbers cannot be: duplicate ids, layouts that do not multiply to the GPU count, batches that do not divide,
step times that imply a utilisation no machine has.
"""

import collections
import pathlib
import sys

import fsdp
import measured
import megatron
import recipes
import trainium
from common import Source
from sanity import Problems

MODULES = (measured, fsdp, megatron, recipes, trainium)


def Report(table):
    included, excluded = table.Included(), table.Excluded()
    print(f"{table.name:24} {len(included):4} included {len(excluded):4} excluded")
    for reason, count in collections.Counter(row.exclude for row in excluded).most_common():
        print(f"{'':24} {count:4} x {reason}")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    source = Source(pathlib.Path(sys.argv[1]))
    root = pathlib.Path(__file__).resolve().parents[2]
    output = pathlib.Path(sys.argv[2]) if len(sys.argv) == 3 else root / "scenarios" / "validation"
    output.mkdir(parents=True, exist_ok=True)
    tables = [table for module in MODULES for table in module.Tables(source)]
    problems = []
    for table in tables:
        table.Write(output)
        Report(table)
        problems += Problems(table)
    included = sum(len(table.Included()) for table in tables)
    points = sum(len(row.expect) for table in tables for row in table.Included())
    print(f"{'all':24} {included:4} included {sum(len(t.Excluded()) for t in tables):4} excluded, {points} points")
    for problem in problems:
        print("problem:", problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
