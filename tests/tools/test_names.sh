#!/usr/bin/env bash
# What README.md and docs/ name is there: in backquotes, a path; FILE:FUNCTION, whose file has the function; a file's
# name; a name with "_" in it, which some source has. Paths in capitals and with * stand for others.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sources=(':!docs' ':!README.md' ':!CHANGES.md' ':!tests/tools/test_names.sh' ':!tests/tools/words')

git ls-files -co --exclude-standard > "$work/files"
git grep -hoIwE '[A-Za-z_][A-Za-z0-9_]*_[A-Za-z0-9_]*' -- . "${sources[@]}" | sort -u > "$work/words"
for document in README.md docs/*.md; do
    awk -v file="$document" '/^ *```/ { block = !block; next } block { next }
        { line = $0; while (match(line, /`[^`]+`/)) {
              print file ":" NR "\t" substr(line, RSTART + 1, RLENGTH - 2); line = substr(line, RSTART + RLENGTH) } }' \
        "$document"
done | perl -e '
    use strict;
    my ($files, $words) = @ARGV;
    my (%file, %name, %word, $failed);
    for (split /\n/, slurp($files)) {
        $file{$_} = 1;
        $name{(split m{/})[-1]} = 1;
        while (s{/[^/]*$}{}) { $file{$_} = 1; $name{(split m{/})[-1]} = 1 }
    }
    $word{$_} = 1 for split /\n/, slurp($words);
    sub slurp { open my $h, "<", $_[0] or die "$_[0]: $!"; local $/; <$h> }
    sub missing { print "$_[0]: there is no $_[1]\n"; $failed = 1 }
    my $seen = 0;
    while (<STDIN>) {
        my ($where, $text) = /^(\S+)\t(.*)$/ or next;
        $text =~ s/[();]+$//;
        next if $text =~ /[ *<>=\$]/ || $text =~ m{(^|/|_)[A-Z]{2,}([/.]|$)};
        if ($text =~ m{^([a-z]\w*/[\w./+-]+?)/?(?::(\w+))?$} && -d (split m{/}, $1)[0]) {
            my ($path, $function) = ($1, $2);
            $seen++;
            next if $path =~ m{^build/};
            if (!$file{$path}) { missing($where, $path) }
            elsif ($function && slurp($path) !~ /^[a-zA-Z_].*\b$function\(/m) { missing($where, "$function in $path") }
        } elsif ($text =~ /^[\w-]+\.(c|h|S|sh|awk|pl)$/) {
            $seen++;
            missing($where, "file $text") unless $name{$text};
        } elsif ($text =~ /^([a-z]\w*_\w*)(?:\.(\w+))?$/) {
            $seen++;
            missing($where, $1) unless $word{$1} || $name{$1};
        }
    }
    die "only $seen names were found\n" if $seen < 200;
    exit $failed ? 1 : 0;
' "$work/files" "$work/words"
