#!/usr/bin/env bash
# Test cell test_namespaces, see tests/guest/test_swap/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_namespaces 1 2 4
