#!/bin/sh
# Tells what the image that it runs in is, before any proxy runs with it: one line that galeractl reads.
version=$(haproxy -v 2>/dev/null | sed -nE 's/^HAProxy version ([0-9]+[.][0-9]+[.][0-9]+).*/\1/p')
printf 'GALERACTL at=%s event=image proxy="%s"\n' "$(date +%s)" "$version"
