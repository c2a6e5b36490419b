#!/usr/bin/env bash
# Test cell test_spawn, see tests/guest/test_spawn/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_spawn 1 2 4
