#!/bin/sh
# Puts a small Debian or Ubuntu system, the one this host runs, into the directory $1.
#
# It uses the host's own package sources, apt settings and keyrings, and leaves them in the new system: where the host
# reaches its packages through a mirror or a proxy, so does the image.
set -eu
root=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Of apt's settings only what decides how packages are fetched; the rest is the host's own business.
apt-config dump |
    grep -E '^Acquire::(http|https|ftp|Check-Date|Check-Valid-Until|ForceIPv4|ForceIPv6|Retries)(::| )' \
        >"$work/fetch.conf" || true
# A mirror or proxy named by the environment alone must keep working in the image, too.
for scheme in http https; do
    eval "proxy=\${${scheme}_proxy:-}"
    [ -z "$proxy" ] || echo "Acquire::${scheme}::Proxy \"$proxy\";" >>"$work/fetch.conf"
done

# The distribution's sources, not those of other vendors; comments out, or they end up in the image.
set --
for list in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list.d/ubuntu.sources; do
    [ -f "$list" ] || continue
    copy="$work/${list##*/}"
    grep -v '^[[:space:]]*#' "$list" >"$copy" || true
    # deb-src and empty lists have nothing to install.
    if grep -qE '^(deb[[:space:]]|URIs:)' "$copy"; then set -- "$@" "$copy"; fi
done
. /etc/os-release
suite=${VERSION_CODENAME:?this host has no VERSION_CODENAME in /etc/os-release}

# Keyrings at the paths that Signed-By names, and the lists that a mirror+file: address names. Where the sources are
# behind https, also the host's bundle of certificate authorities: the package that brings one is not in the base.
# Not auth.conf: passwords do not belong into an image.
carry="/etc/apt/keyrings /etc/apt/mirrors"
if cat "$work"/*sources* | grep -q 'https:'; then carry="$carry /etc/ssl/certs/ca-certificates.crt"; fi
for path in $carry; do
    [ -e "$path" ] && [ -n "$(ls -A "$path")" ] || continue
    set -- "$@" "--setup-hook=mkdir -p \"\$1${path%/*}\" && cp -aLT $path \"\$1$path\""
done

# Documentation and translations are left out: the smaller the base, the sooner a build is done.
mmdebstrap --quiet --mode=root --variant=apt --skip=check/empty \
    --aptopt="$work/fetch.conf" \
    --aptopt='Acquire::Languages "none"' \
    --aptopt='Apt::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    "$suite" "$root" "$@"

# mmdebstrap leaves the host's name and name servers; an instance gets its own.
rm -f "$root/etc/resolv.conf" "$root/etc/hostname"
