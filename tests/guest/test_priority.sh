#!/usr/bin/env bash
# Test cell test_priority, see tests/guest/test_priority/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_priority 1 2 4
