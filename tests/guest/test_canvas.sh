#!/usr/bin/env bash
# Test cell test_canvas, see tests/guest/test_canvas/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_canvas 1
