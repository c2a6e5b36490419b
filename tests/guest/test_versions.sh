#!/usr/bin/env bash
# Test cell test_versions, see tests/guest/test_versions/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_versions 1 2 4
