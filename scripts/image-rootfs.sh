#!/bin/sh
# Gathers what node needs to run into $1: itself, the shared libraries it names, and the few files the C library reads.
# Certificates: node carries Mozilla's own list inside, so no bundle is copied. Runs in the image's runtime stage.
set -eu
root=$1
node=$(readlink -f "$(command -v node)")

install -D -m 0755 "$node" "$root/usr/local/bin/node"

# `ldd` prints `name => path (address)`, and the loader as `path (address)`; both are looked for at these very paths.
ldd "$node" | grep -o '/[^ ]*' | sort -u | while read -r library; do
  install -D -m 0755 "$(readlink -f "$library")" "$root$library"
  # Scanners find the packages by their status, as in other images without a package manager.
  package=$(dpkg-query -S "$(readlink -f "$library")" 2>/dev/null || dpkg-query -S "$library" 2>/dev/null || true)
  package=${package%%:*}
  [ -z "$package" ] || { mkdir -p "$root/var/lib/dpkg/status.d" && dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$package"; }
done

mkdir -p "$root/etc" "$root/mnt/models" "$root/tmp"
cp /etc/os-release "$root/etc/os-release"
printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
chmod 1777 "$root/tmp"
# Usually a volume is mounted here. Group 0 may write too: platforms that choose a uid of their own run it with gid 0.
chown 65532:0 "$root/mnt/models"
chmod 0775 "$root/mnt/models"
