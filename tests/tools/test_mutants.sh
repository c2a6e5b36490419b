#!/usr/bin/env bash
# Each deliberate defect of tests/mutants/list applies to exactly one place, there are 100 or more, and the tests that
# they name are there.
set -eu
cd "$(dirname "$0")/../.."
tests/mutants/apply.pl check
[ "$(tests/mutants/apply.pl names | wc -l)" -ge 100 ]
tests/mutants/apply.pl names | cut -f 2 | tr ',' '\n' | sed 's/^ *//' | sort -u | while read -r name; do
    case $name in
        script\ *) word=${name#script } word=${word% *}
            grep -q "^$word " tests/guest/list || ls tests/*/"$word"*.sh > /dev/null ;;
        */*) grep -q "suite_create(\"${name%%/*}\")" /dev/null $(grep -l "tcase_create(\"${name#*/}\")" tests/*/*.c) ;;
        *) grep -q "suite_create(\"$name\")" tests/*/*.c ;;
    esac || { echo "there is no test: $name" >&2; exit 1; }
done
