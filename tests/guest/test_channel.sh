#!/usr/bin/env bash
# Test cell test_channel, see tests/guest/test_channel/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_channel 1 2 4
