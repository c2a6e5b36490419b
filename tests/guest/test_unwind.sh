#!/usr/bin/env bash
# Test cell test_unwind, see tests/guest/test_unwind/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_unwind 1 2 4
