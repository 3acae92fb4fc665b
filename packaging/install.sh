#!/bin/sh
# Installs ecr for one user, without root:
#
#   sh install.sh [--prefix FOLDER] [--version VERSION] [--base-url URL]
#
# Downloads the static binary for this machine, verifies its checksum, and puts it into FOLDER/bin (~/.local by
# default), with docker's credential helper and the manual pages beside it. It says what it did.
set -eu

prefix=${HOME:+$HOME/.local}
version=latest
base=https://github.com/ecr-cli/ecr/releases

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
        --prefix | --version | --base-url) [ $# -ge 2 ] || fail "$1 needs a value" ;;
    esac
    case $1 in
        --prefix) prefix=$2 ;;
        --version) version=${2#v} ;;
        --base-url) base=${2%/} ;;
        -h | --help)
            sed -n 's/^# \{0,1\}//p' "$0" | sed 1d
            exit 0
            ;;
        *) fail "there is no option $1: see --help" ;;
    esac
    shift 2
done
[ -n "$prefix" ] || fail "HOME is not set: give --prefix FOLDER"

case $(uname -s) in
    Linux) system=unknown-linux-musl ;;
    Darwin) system=apple-darwin ;;
    *) fail "there is no binary for $(uname -s): build from source, or on Windows take the zip from $base" ;;
esac
case $(uname -m) in
    x86_64 | amd64) target=x86_64-$system ;;
    aarch64 | arm64) target=aarch64-$system ;;
    *) fail "there is no binary for $(uname -m): build from source with cargo" ;;
esac

# fetch URL FILE
fetch() {
    if command -v curl >/dev/null 2>&1; then
        curl --fail --silent --show-error --location --retry 3 --output "$2" "$1"
    elif command -v wget >/dev/null 2>&1; then
        wget -q -O "$2" "$1"
    else
        fail "neither curl nor wget is here"
    fi
}

# checksum FILE
checksum() {
    if command -v sha256sum >/dev/null 2>&1; then
        sha256sum "$1" | cut -d' ' -f1
    elif command -v shasum >/dev/null 2>&1; then
        shasum -a 256 "$1" | cut -d' ' -f1
    else
        fail "neither sha256sum nor shasum is here, so that nothing can be verified"
    fi
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

case $version in
    latest) release=$base/latest/download ;;
    *) release=$base/download/v$version ;;
esac
fetch "$release/SHA256SUMS" "$work/SHA256SUMS" || fail "$release/SHA256SUMS cannot be downloaded"
archive=$(sed -n "s/^[0-9a-f]*[ *]*\(ecr-[0-9A-Za-z.+-]*-$target\.tar\.gz\)\$/\1/p" "$work/SHA256SUMS")
[ -n "$archive" ] || fail "$release/SHA256SUMS names no archive for $target"
fetch "$release/$archive" "$work/$archive" || fail "$release/$archive cannot be downloaded"

expected=$(sed -n "s/^\([0-9a-f]\{64\}\)[ *]*$archive\$/\1/p" "$work/SHA256SUMS")
found=$(checksum "$work/$archive")
[ "$expected" = "$found" ] || fail "$archive has the checksum $found and should have $expected: nothing was installed"

tar -xzf "$work/$archive" -C "$work"
unpacked=$work/${archive%.tar.gz}
mkdir -p "$prefix/bin" "$prefix/share/man/man1"
# A new name and a rename: the binary may be running.
cp "$unpacked/ecr" "$prefix/bin/.ecr.new"
chmod 755 "$prefix/bin/.ecr.new"
mv -f "$prefix/bin/.ecr.new" "$prefix/bin/ecr"
ln -sf ecr "$prefix/bin/docker-credential-ecr-login"
cp "$unpacked"/man/*.1 "$prefix/share/man/man1/"

echo "Installed $("$prefix/bin/ecr" --version 2>/dev/null || echo ecr) in $prefix/bin (sha256 $found)."
echo "docker-credential-ecr-login is a link to it; manual pages are in $prefix/share/man; completions: ecr completions SHELL."
case :$PATH: in
    *":$prefix/bin:"*) ;;
    *) echo "$prefix/bin is not on your PATH: add  export PATH=\"$prefix/bin:\$PATH\"  to your shell's start-up file." ;;
esac
