#!/bin/bash
# Ends with 0 when the Swift compiler is there and new enough, else says what to do and ends with 1.
set -euo pipefail

explain() {
  printf '%s\nSwift 6.3 or newer is needed: https://www.swift.org/install/linux/ has it for Debian 12; then put its usr/bin into PATH.\n' "$1" >&2
  exit 1
}

said=$(swift --version 2> /dev/null) || explain "There is no Swift compiler in PATH (a /usr/bin/swift of OpenStack is not one)."
[[ $said =~ Swift\ version\ ([0-9]+)\.([0-9]+) ]] || explain "\`swift\` in PATH is not the Swift compiler."
version=$((BASH_REMATCH[1] * 1000 + BASH_REMATCH[2]))
[ "$version" -ge 6003 ] || explain "The Swift compiler in PATH is ${BASH_REMATCH[1]}.${BASH_REMATCH[2]}."
