#!/usr/bin/env bash
# Test cell test_exception in place of the first cell, see tests/guest/test_exception/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
GUEST_BY=start guest_test test_exception 1
