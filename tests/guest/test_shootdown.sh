#!/usr/bin/env bash
# Test cell test_shootdown, see tests/guest/test_shootdown/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_shootdown 1 2 4
