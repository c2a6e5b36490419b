#!/usr/bin/env bash
# Test cell test_host_link, see tests/guest/test_host_link/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_host_link 1 2
