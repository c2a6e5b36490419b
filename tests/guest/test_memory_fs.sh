#!/usr/bin/env bash
# Test cell test_memory_fs, see tests/guest/test_memory_fs/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_memory_fs 1 2 4
