# What the machine must have, and getting it.

packages=(docker.io openssh-server haproxy docker-registry iproute2 iptables curl)

machine_missing() {
  [[ $(id -u) == 0 ]] || echo "root: namespaces, bridges and mounts need it (run as root)"
  local pair
  for pair in dockerd:docker.io docker:docker.io sshd:openssh-server ssh:openssh-client \
    haproxy:haproxy docker-registry:docker-registry ip:iproute2 iptables:iptables \
    nsenter:util-linux unshare:util-linux flock:util-linux perl:perl-base curl:curl; do
    command -v "${pair%%:*}" >/dev/null || echo "command ${pair%%:*}: package ${pair##*:} (lab install)"
  done
  command -v rustc >/dev/null || echo "command rustc: https://rustup.rs (the demo app and the client are compiled here)"
  [[ $(id -u) == 0 ]] && command -v ip unshare iptables >/dev/null && kernel_missing
  return 0
}

# Each ability is tried in throw-away namespaces, so nothing of the machine changes.
kernel_missing() {
  unshare --mount --uts --pid --fork --mount-proc true 2>/dev/null ||
    echo "kernel: mount, UTS and pid namespaces (a privileged machine, not a plain container)"
  unshare --net ip link add b0 type bridge 2>/dev/null || echo "kernel: network namespaces with bridges"
  unshare --net ip link add v0 type veth peer name v1 2>/dev/null || echo "kernel: veth pairs"
  unshare --net iptables -t nat -A POSTROUTING -j MASQUERADE 2>/dev/null || echo "kernel: iptables NAT in a namespace"
  unshare --net iptables -t raw -A PREROUTING -j DROP 2>/dev/null || echo "kernel: iptables raw table in a namespace"
  grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null || echo "kernel: overlay file system"
  grep -q ' cgroup' /proc/mounts || echo "kernel: no cgroups mounted"
}

machine_need() {
  local missing
  missing=$(machine_missing)
  [[ -z $missing ]] && return
  say "this machine cannot run the lab; missing:"
  printf '  %s\n' "${missing//$'\n'/$'\n'  }" >&2
  return 1
}

machine_install() {
  [[ $(id -u) == 0 ]] || die "install needs root"
  command -v apt-get >/dev/null || die "install knows only apt-get; packages needed: ${packages[*]}"
  keep_services_off
  trap services_as_before EXIT
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q >&2
  apt-get install -y -q --no-install-recommends "${packages[@]}" openssh-client perl-base >&2
  machine_need
}

# The packages would start sshd, dockerd, haproxy and a registry on the machine itself.
# policy-rc.d with status 101 is Debian's way to forbid that.
keep_services_off() {
  [[ -e /usr/sbin/policy-rc.d ]] && return
  printf '#!/bin/sh\n# windlass lab, while installing\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
}

services_as_before() {
  if grep -qs 'windlass lab, while installing' /usr/sbin/policy-rc.d; then rm -f /usr/sbin/policy-rc.d; fi
}

# Compiles the three Rust helpers, once per change of their source. Static: they run FROM scratch.
compile_helpers() {
  mkdir -p "$bin"
  local name jobs=() job
  for name in app hammer relay; do
    if stale "$name"; then compile "$name" & jobs+=($!); fi
  done
  for job in "${jobs[@]}"; do wait "$job" || die "a lab helper does not compile (see above)"; done
}

stale() {
  [[ -x $bin/$1 ]] || return 0
  [[ -n $(find "$here/$1.rs" $([[ -d $here/$1 ]] && echo "$here/$1") -newer "$bin/$1" -print -quit) ]]
}

# Several labs may want the same helper at once: one compiles, the others wait and find it done. rustc's
# intermediate files are named after the crate only, hence a directory of its own for each run.
compile() {
  (
    flock 8
    stale "$1" || exit 0
    work=$(mktemp -d "$bin/.$1.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    rustc --edition 2024 -O -C target-feature=+crt-static -C strip=symbols -o "$work/$1" "$here/$1.rs"
    mv "$work/$1" "$bin/$1"
  ) 8>"$bin/.$1.lock" 9>&-
}
