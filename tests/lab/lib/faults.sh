# What goes wrong in real fleets, on command.

# A black hole: packets vanish, nobody says so. ARP still answers, so no "host unreachable" either.
fault_cut() {
  running_pid "${1:-}" >/dev/null
  touch "$(host_dir "$1")/cut"
  drop_packets "$1"
}

fault_heal() {
  running_pid "${1:-}" >/dev/null
  rm -f "$(host_dir "$1")/cut"
  while in_net "$1" iptables -w -t raw -D PREROUTING -i eth0 -j DROP 2>/dev/null; do :; done
  while in_net "$1" iptables -w -t mangle -D POSTROUTING -o eth0 -j DROP 2>/dev/null; do :; done
}

# raw and mangle: before and after Docker's own rules, for forwarded packets too.
drop_packets() {
  in_net "$1" iptables -w -t raw -I PREROUTING -i eth0 -j DROP
  in_net "$1" iptables -w -t mangle -I POSTROUTING -o eth0 -j DROP
}

# Round-trip time for new SSH connections: a relay on port 2222 of the host, to which port 22 is redirected.
fault_delay() {
  local host=${1:-} ms=${2:-}
  running_pid "$host" >/dev/null
  [[ $ms =~ ^[0-9]{1,5}$ ]] || die "usage: lab delay HOST MILLISECONDS"
  relay_stop "$host"
  rm -f "$(host_dir "$host")/delay"
  ((ms > 0)) || return 0
  echo "$ms" >"$(host_dir "$host")/delay"
  relay_start "$host" "$ms"
}

relay_start() {
  local host=$1 ms=$2 home
  home=$(host_dir "$host")
  WINDLASS_LAB_ID=$id setsid nsenter --net="/run/netns/$(ns_of "$host")" -- "$bin/relay" 0.0.0.0:2222 127.0.0.1:22 "$ms" \
    </dev/null >>"$home/log/relay.log" 2>&1 9>&- &
  disown
  await "$host" "the delaying relay" port_open "$(host_ip "$host")" 2222
  in_net "$host" iptables -w -t nat -I PREROUTING -i eth0 -p tcp --dport 22 -j REDIRECT --to-ports 2222
}

# Connections through the relay break, as they would when a route changes under them.
relay_stop() {
  local host=$1 pid
  while in_net "$host" iptables -w -t nat -D PREROUTING -i eth0 -p tcp --dport 22 -j REDIRECT --to-ports 2222 2>/dev/null; do :; done
  for pid in $(ns_pids "$(ns_of "$host")"); do
    [[ $(readlink "/proc/$pid/exe") != "$(realpath "$bin/relay")"* ]] || kill -KILL "$pid" 2>/dev/null || true
  done
}

# SIGKILL, as the kernel's out-of-memory killer would; its containerd dies with it, containers live on until the next start.
fault_kill_dockerd() {
  local host=${1:-} pid
  pid=$(running_pid "$host")
  host_enter "$pid" sh -c 'p=$(cat /run/docker.pid) && kill -KILL "$p" && while kill -0 "$p" 2>/dev/null; do sleep 0.02; done' ||
    die "$host: no dockerd to kill"
}

fault_start_dockerd() {
  local host=${1:-} pid
  pid=$(running_pid "$host")
  ! engine_answers "$host" || return 0
  setsid nsenter --target "$pid" --mount --uts --pid --net -- sh /run/lab/dockerd \
    </dev/null >>"$(host_dir "$host")/log/dockerd.log" 2>&1 9>&- &
  disown
  await "$host" dockerd engine_answers "$host"
}

# Power off: no goodbye on the wire, so the packets are dropped before the processes die.
power_stop() {
  running_pid "${1:-}" >/dev/null
  drop_packets "$1"
  host_kill "$1"
  link_down "$1"
}

power_start() {
  host_number "${1:-}" >/dev/null
  [[ -f $(host_dir "$1")/complete ]] || die "no such host: $1"
  host_start "$1"
}

power_reboot() { power_stop "${1:-}"; power_start "$1"; }
