#!/usr/bin/env bash
# Test cell test_wait, see tests/guest/test_wait/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_wait 1 2 4
