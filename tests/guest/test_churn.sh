#!/usr/bin/env bash
# Test cell test_churn, see tests/guest/test_churn/. CHURN: how often; `make soak` says 10000.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
GUEST_OPTIONS="churn=${CHURN:-60}" guest_test test_churn ${CHURN_CPUS:-1 2 4}
