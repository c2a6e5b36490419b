#!/usr/bin/env bash
# Test cell test_fault, see tests/guest/test_fault/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_fault 1 2 4
