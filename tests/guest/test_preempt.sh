#!/usr/bin/env bash
# Test cell test_preempt, see tests/guest/test_preempt/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_preempt 1 2 4
