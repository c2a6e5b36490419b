#!/usr/bin/env bash
# Test cell test_switch, see tests/guest/test_switch/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_switch 1 2 4
