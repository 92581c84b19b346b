# Names, addresses, the bridge and the cables.

# Decides which lab this call is about: directory, subnet, and all names made from them.
settle_names() {
  [[ $(id -u) == 0 ]] || die "the lab needs root (lab need says what else)"
  local wanted=${LAB_NET:-}
  if [[ -z $dir && -n $wanted ]]; then dir=$(cat "$claims/$(net_id "$wanted")" 2>/dev/null || true); fi
  if [[ -z $dir ]]; then
    dir=${TMPDIR:-/tmp}/windlass-lab
    if [[ -n $wanted && $wanted != 10.77.0 ]]; then dir+=-$(net_id "$wanted"); fi
  fi
  dir=$(realpath -m "$dir")
  net=${wanted:-10.77.0} hosts=0 deploy_host=''
  if [[ -f $dir/lab.env ]]; then
    # shellcheck source=/dev/null
    source "$dir/lab.env"
    [[ -z $wanted || $wanted == "$net" ]] || die "the lab in $dir is $net, not LAB_NET=$wanted"
  fi
  id=$(net_id "$net")
  bridge=wl$id
  bin=${LAB_BIN:-${CARGO_TARGET_DIR:-$(realpath -m "$here/../../target")}/lab}
}

# 10.77.0 -> 0a4d00: interface names have 15 characters at most.
net_id() {
  [[ $1 =~ ^([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})$ ]] || die "LAB_NET is three numbers like 10.77.0, not '$1'"
  printf '%02x%02x%02x' "${BASH_REMATCH[@]:1}"
}

host_number() {
  if [[ $1 == builder ]]; then echo -8; return; fi
  [[ $1 =~ ^host-([1-9][0-9]{0,2})$ ]] || die "no such host: '$1' (host-1 to host-$hosts)"
  echo "${BASH_REMATCH[1]}"
}

host_ip() { echo "$net.$((10 + $(host_number "$1")))"; }
ns_of() { echo "wl$id-$1"; }
port_of() { echo "wl${id}p$((10 + $(host_number "$1")))"; }
host_names() { local n; for ((n = 1; n <= hosts; n++)); do echo "host-$n"; done; }
user_of() { if [[ $1 == "$deploy_host" ]]; then echo deploy; else echo root; fi; }

bridge_up() {
  if [[ ! -e /sys/class/net/$bridge ]]; then
    ip link add "$bridge" type bridge stp_state 0 forward_delay 0
    ip addr add "$net.1/24" dev "$bridge"
  fi
  ip link set "$bridge" up
  # A machine with a Docker of its own has FORWARD DROP and br_netfilter: let the lab's own frames pass.
  if [[ $(cat /proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null) == 1 ]]; then
    iptables -C FORWARD -i "$bridge" -o "$bridge" -j ACCEPT 2>/dev/null ||
      iptables -I FORWARD -i "$bridge" -o "$bridge" -j ACCEPT
  fi
}

bridge_down() {
  while iptables -D FORWARD -i "$bridge" -o "$bridge" -j ACCEPT 2>/dev/null; do :; done
  [[ ! -e /sys/class/net/$bridge ]] || ip link del "$bridge"
}

# A fresh network namespace for the host, plugged into the bridge. No default route: a lab talks to itself only.
link_up() {
  local host=$1 ns port ip
  ns=$(ns_of "$host") port=$(port_of "$host") ip=$(host_ip "$host")
  link_down "$host"
  ip netns add "$ns"
  # The same hardware address after a reboot, as a real network card has: no stale ARP entries.
  ip link add "$port" type veth peer name eth0 address "02:77:${id:0:2}:${id:2:2}:${id:4:2}:$(printf %02x "${ip##*.}")" netns "$ns"
  ip link set "$port" master "$bridge" up
  ip -n "$ns" link set lo up
  ip -n "$ns" addr add "$ip/24" dev eth0
  ip -n "$ns" link set eth0 up
}

link_down() {
  local ns port
  ns=$(ns_of "$1") port=$(port_of "$1")
  [[ ! -e /sys/class/net/$port ]] || ip link del "$port" 2>/dev/null || true
  [[ ! -e /run/netns/$ns ]] || ip netns del "$ns"
}

# Pids of all processes in a network namespace, by the kernel's word and not by a pid file.
ns_pids() {
  [[ -e /run/netns/$1 ]] || return 0
  local inode
  inode=$(stat -Lc %i "/run/netns/$1")
  find /proc -maxdepth 3 -path '/proc/[0-9]*/ns/net' -lname "net:\[$inode\]" 2>/dev/null | cut -d/ -f3 || true
}

in_net() { local host=$1; shift; nsenter --net="/run/netns/$(ns_of "$host")" -- "$@"; }
