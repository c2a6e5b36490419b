#!/usr/bin/env bash
# Test cell test_roll_back, see tests/guest/test_roll_back/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_roll_back 1 2 4
