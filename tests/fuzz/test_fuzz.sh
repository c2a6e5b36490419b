#!/usr/bin/env bash
# A minute of fuzzing in all, shared by the targets.
set -eu
cd "$(dirname "$0")/../.."
targets=$(basename -s .c -a tests/fuzz/*.c)
# shellcheck disable=SC2086
exec tests/fuzz/run.sh $((60 / $(wc -w <<< "$targets"))) $targets
