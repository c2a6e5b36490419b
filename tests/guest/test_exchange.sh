#!/usr/bin/env bash
# Test cell test_exchange, see tests/guest/test_exchange/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_exchange 1 2 4
