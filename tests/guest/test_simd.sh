#!/usr/bin/env bash
# Test cell test_simd, see tests/guest/test_simd/; also on a processor without AVX2, where one can be had.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
guest_test test_simd 1 2 4
kvm_works || GUEST_CPU=max,-avx2 GUEST_BY='simd=no app' guest_test test_simd 1
