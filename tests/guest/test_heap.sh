#!/usr/bin/env bash
# Test cell test_heap, see tests/guest/test_heap/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_heap 1 2 4
