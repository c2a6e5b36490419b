#!/usr/bin/env bash
# Test cell test_memory in place of the first cell, see tests/guest/test_memory/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
GUEST_BY=start guest_test test_memory 1
