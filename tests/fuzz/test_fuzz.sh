#!/usr/bin/env bash
# A minute of fuzzing in all, shared by the targets, with one seed: a change fails by what it broke, not by luck.
# `make fuzz` looks further.
set -eu
cd "$(dirname "$0")/../.."
targets=$(basename -s .c -a tests/fuzz/*.c)
# shellcheck disable=SC2086
FUZZ_SEED=1 exec tests/fuzz/run.sh $((60 / $(wc -w <<< "$targets"))) $targets
