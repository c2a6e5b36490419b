#!/bin/bash
# The KVM path: everything directly where /dev/kvm works, the short list in the lab where it does not.
set -euo pipefail
cd "$(dirname "$0")/../.."

. tests/lib.sh

if ! kvm_works; then
    mapfile -t scripts < <(lab_scripts tests/lab/short)
    exec tests/lab/lab.sh "${scripts[@]}"
fi
lab_scripts tests/lab/list | while read -r script; do
    echo "on this machine's /dev/kvm: $script"
    # shellcheck disable=SC2086
    bash $script < /dev/null || [ $? -eq 77 ]
done
