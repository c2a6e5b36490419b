#!/usr/bin/env bash
# Test cell test_processors in place of the first cell, see tests/guest/test_processors/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
GUEST_BY=start guest_test test_processors 1 2 4
