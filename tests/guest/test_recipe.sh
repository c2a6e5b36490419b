#!/usr/bin/env bash
# Test cell test_recipe, see tests/guest/test_recipe/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_recipe 1 2 4
