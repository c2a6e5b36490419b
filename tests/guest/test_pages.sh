#!/usr/bin/env bash
# Test cell test_pages, see tests/guest/test_pages/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_pages 1 2
