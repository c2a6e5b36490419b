#!/usr/bin/env bash
# Test cell test_rendezvous, see tests/guest/test_rendezvous/.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_rendezvous 1 2 4
