#!/usr/bin/env bash
# Test cell test_nano_core, see tests/guest/test_nano_core/. The start cell leaves the nano_core to it.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
GUEST_SECONDS=300 GUEST_BY='renew=no app' guest_test test_nano_core 1 2 4
