# How script/image fills a tree with Debian's packages, and what it cleans it of; sourced, never run.
# shellcheck shell=bash

# How Debian's packages are unpacked: without the manuals.
dpkg_options=(force-unsafe-io 'path-exclude=/usr/share/man/*' 'path-exclude=/usr/share/locale/*'
  'path-exclude=/usr/share/info/*' 'path-exclude=/usr/share/doc/*'
  'path-include=/usr/share/doc/*/copyright' 'path-include=/usr/share/doc/apt/examples/sources.list')

# The sources of Debian's packages that this machine is configured with, if any; its proxy for them becomes a variable.
use_debian_of_this_machine() {
  local proxy=''
  sources=$(apt-get indextargets --format "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" \
    'Identifier: Packages' 'Origin: Debian' | grep -E ' bookworm(-updates|-security)? main$' || true)
  eval "$(apt-config shell proxy Acquire::http::Proxy)"
  [ -z "$proxy" ] || export http_proxy=$proxy
}

# A Debian tree from the sources of this machine (Debian's own when it has none).
bootstrap() {
  local name=$1 rootfs=$2 sources
  use_debian_of_this_machine
  printf '%s\n' "$sources" | mmdebstrap --mode=root --variant=minbase --format=directory \
    --include="$(entries "$(definition "$name")/packages" | paste -sd,)" "${dpkg_options[@]/#/--dpkgopt=}" \
    bookworm "$rootfs" ${sources:+-}
}

# More packages for a tree that is there. The tree's own sources are Debian's, which this machine may not reach.
install_packages() {
  local name=$1 rootfs=$2 sources packages unpacked='' list=/etc/apt/build.list
  use_debian_of_this_machine
  if [ -n "$sources" ]; then printf '%s\n' "$sources" >"$rootfs$list"; else cp "$rootfs/etc/apt/sources.list" "$rootfs$list"; fi
  mapfile -t packages < <(entries "$(definition "$name")/packages")
  [ ! -f "$(definition "$name")/unpacked" ] || unpacked=$(entries "$(definition "$name")/unpacked")
  # No service of a package starts here.
  printf '#!/bin/sh\nexit 101\n' >"$rootfs/usr/sbin/policy-rc.d"
  chmod 755 "$rootfs/usr/sbin/policy-rc.d"
  # shellcheck disable=SC2016 # the shell inside expands
  "$SANDY_TOP/script/in-rootfs" "$rootfs" bash -euc '
    apt() { apt-get --quiet -o Dir::Etc::SourceList="$list" -o Dir::Etc::SourceParts=/dev/null "$@" >/tmp/log || { cat /tmp/log; exit 1; }; }
    list=$1 unpacked=$2 && shift 2
    apt update
    apt install --yes --no-install-recommends "$@"
    cd /tmp
    for package in $unpacked; do
      apt -o APT::Sandbox::User=root download "$package"
      dpkg-deb --extract "$package"_*.deb /
    done
  ' install "$list" "$unpacked" "${dpkg_options[@]/#/-oDPkg::Options::=--}" "${packages[@]}"
  rm "$rootfs$list" "$rootfs/usr/sbin/policy-rc.d"
}

# What no image may carry: identities, caches, device nodes, privileges by file. The first argument is the whole tree, the
# second what this build has changed in it.
clean() {
  local rootfs=$1 changes=$2 strange
  find "$rootfs/dev" "$rootfs/run" "$rootfs/tmp" "$rootfs/var/tmp" "$rootfs/var/log" "$rootfs/var/cache/debconf" \
    -xdev -mindepth 1 -delete
  # apt wants its directories
  mkdir -p "$rootfs/var/cache/apt/archives/partial" "$rootfs/var/lib/apt/lists/partial"
  find "$rootfs/var/cache/apt" "$rootfs/var/lib/apt/lists" -xdev ! -type d -delete
  rm -rf "$rootfs"/root/.npm "$rootfs"/root/.cache "$rootfs"/etc/ssh/ssh_host_* "$rootfs"/var/lib/dpkg/*-old
  if [ ! -f "$rootfs/etc/machine-id" ] || [ -s "$rootfs/etc/machine-id" ]; then : >"$rootfs/etc/machine-id"; fi
  # Root inside has no new privileges to gain, and on the host the tree lies where anyone may walk.
  (cd "$changes" && find . -xdev -type f -perm /6000 -print0) | (cd "$rootfs" && xargs -0 --no-run-if-empty chmod ug-s)
  # A sandbox maps 65536 ids.
  strange=$(find "$changes" -xdev \( -uid +65535 -o -gid +65535 \) -print -quit)
  [ -z "$strange" ] || die "$strange is owned by an id beyond 65535"
}
