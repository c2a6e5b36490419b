#!/usr/bin/env bash
# Test cell test_sleep, see tests/guest/test_sleep/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_sleep 1 2
