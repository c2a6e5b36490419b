#!/usr/bin/env bash
# The checks that take seconds, of those that `make check` does.
set -eu
cd "$(dirname "$0")/../.."
tests/tools/check.sh format headers layers words parts nano_core
