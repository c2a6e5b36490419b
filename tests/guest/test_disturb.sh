#!/usr/bin/env bash
# Test cell test_disturb, see tests/guest/test_disturb/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_disturb 1 2 4
