#!/usr/bin/env bash
# Test cell test_workload, see tests/guest/test_workload/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_workload 1 2 4
