# The lab as a whole: up, down, info.

# One change of a lab at a time. The lock is descriptor 9; whatever is left running must not inherit it.
lock() {
  mkdir -p "$claims"
  exec 9>"$claims/$id.lock"
  flock 9
}

# A subnet belongs to one directory. Exit 4: taken, try another LAB_NET.
claim() {
  local owner
  owner=$(cat "$claims/$id" 2>/dev/null || true)
  if [[ -n $owner && $owner != "$dir" ]]; then
    say "$net.0/24 is in use by the lab in $owner (LAB_NET=$net lab down, or choose another LAB_NET)"
    exit 4
  fi
  if [[ -z $owner && -e /sys/class/net/$bridge ]]; then say "$net.0/24: bridge $bridge is left over (LAB_NET=$net lab down)"; exit 4; fi
  echo "$dir" >"$claims/$id"
}

lab_up() {
  local wanted=$1 began=$EPOCHREALTIME host jobs=() job
  [[ $wanted =~ ^[1-9][0-9]?$ ]] || die "usage: lab up [N], N from 1 to 99"
  machine_need
  lock
  claim
  mkdir -p "$dir" && chmod 755 "$dir"
  if ((wanted > hosts)); then hosts=$wanted; fi
  # One host of several has no root login; it stays the same one when the lab grows.
  if [[ -z $deploy_host ]] && ((hosts > 1)); then deploy_host=host-$hosts; fi
  printf 'net=%s\nhosts=%s\ndeploy_host=%s\n' "$net" "$hosts" "$deploy_host" >"$dir/lab.env"
  client_keys
  fair_scheduler
  bridge_up
  registry_files
  for host in builder $(host_names); do host_start "$host" 9>&- & jobs+=($!); done
  registry_start 9>&- & jobs+=($!)
  compile_helpers 9>&- & jobs+=($!)
  for job in "${jobs[@]}"; do wait "$job" || die "the lab did not come up; see above, and $dir/hosts/*/log"; done
  known_hosts_file
  ssh_config_file
  images_once
  say "$hosts hosts up in $(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.1f", b - a}') s, state in $dir"
}

# With autogroups every SSH session and every daemon is a scheduling group of its own, and under full load on a few cores
# single processes were seen to wait 11 s for their turn: a host with a CPU of its own never does that.
autogroup=/proc/sys/kernel/sched_autogroup_enabled

fair_scheduler() {
  [[ -w $autogroup && $(<"$autogroup") == 1 ]] || return 0
  touch "$claims/autogroup"
  echo 0 >"$autogroup"
}

# When the last lab goes.
scheduler_as_before() {
  [[ -e $claims/autogroup && -z $(find "$claims" -type f ! -name autogroup) ]] || return 0
  echo 1 >"$autogroup"
  rm -f "$claims/autogroup"
}

images_once() {
  [[ ! $dir/build/done -nt $bin/app ]] || return 0
  image_base
  image_haproxy
  touch "$dir/build/done"
}

client_keys() {
  mkdir -p "$dir/docker-config"
  [[ -f $dir/id_ed25519 ]] || ssh-keygen -q -t ed25519 -N '' -C windlass-lab -f "$dir/id_ed25519"
  [[ -f $dir/id_rsa ]] || ssh-keygen -q -t rsa -b 2048 -N '' -C windlass-lab -f "$dir/id_rsa"
}

known_hosts_file() {
  local host ip key
  for host in $(host_names); do
    ip=$(host_ip "$host")
    for key in "$(host_dir "$host")"/etc/ssh/ssh_host_*_key.pub; do
      echo "$host,$ip,[$ip]:2222 $(cut -d' ' -f1,2 "$key")"
    done
  done >"$dir/known_hosts"
  cp "$dir/known_hosts" "$dir/known_hosts.hashed"
  ssh-keygen -q -H -f "$dir/known_hosts.hashed" >/dev/null 2>&1
  rm -f "$dir/known_hosts.hashed.old"
}

ssh_config_file() {
  local host
  {
    for host in $(host_names); do
      printf 'Host %s %s\n  HostName %s\n  User %s\n' "$host" "$(host_ip "$host")" "$(host_ip "$host")" "$(user_of "$host")"
    done
    printf 'Host *\n  IdentityFile %s\n  IdentitiesOnly yes\n  UserKnownHostsFile %s\n  GlobalKnownHostsFile none\n' "$dir/id_ed25519" "$dir/known_hosts"
  } >"$dir/ssh_config"
}

# Works on a half-started lab and without its directory: names and namespaces tell what belongs to it.
lab_down() {
  lock
  local ns host pid
  for pid in $(tagged_pids); do kill -KILL "$pid" 2>/dev/null || true; done
  for ns in $(ip netns list | awk '{print $1}' | grep "^wl$id-" || true); do
    host=${ns#wl"$id"-}
    host_kill "$host"
    link_down "$host"
  done
  bridge_down
  # A cgroup stays busy for a moment after its last process.
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    cgroups_left || break
    find /sys/fs/cgroup -depth -type d -path "*/lab-$id-*" -exec rmdir {} + 2>/dev/null || true
    sleep 0.05
  done
  if [[ ${1:-} != --keep && -f $dir/lab.env ]]; then rm -rf --one-file-system "$dir"; fi
  rm -f "$claims/$id" "$claims/$id.lock"
  scheduler_as_before
  rmdir "$claims" 2>/dev/null || true
}

cgroups_left() { [[ -n $(find /sys/fs/cgroup -type d -name "lab-$id-*" -print -quit 2>/dev/null) ]]; }

# The lab's processes outside its hosts (registries, relays) carry its id in their environment.
tagged_pids() { grep -lsz "^WINDLASS_LAB_ID=$id\$" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3 || true; }

lab_info() {
  [[ -f $dir/lab.env ]] || die "no lab in $dir (lab up)"
  if [[ ${1:-} != --json ]]; then
    local host
    for host in $(host_names); do printf '%s\t%s@%s\t%s\n' "$host" "$(user_of "$host")" "$(host_ip "$host")" "$(host_has_pid "$host" && echo running || echo off)"; done
    printf 'registry\t%s\nwith login\t%s (%s / %s)\nhaproxy\t%s\nssh -F %s host-1\n' "$net.1:5000" "$net.1:5001" \
      "$registry_user" "$registry_password" "$net.1:5000/haproxy:$haproxy_tag" "$dir/ssh_config"
    return
  fi
  printf '{"id":"%s","dir":"%s","net":"%s.0/24","hosts":[%s],' "$id" "$dir" "$net" "$(hosts_json)"
  printf '"registry":"%s","auth_registry":{"server":"%s","username":"%s","password":"%s"},' \
    "$net.1:5000" "$net.1:5001" "$registry_user" "$registry_password"
  printf '"haproxy_image":"%s","keys":{"ed25519":"%s","rsa":"%s"},' "$net.1:5000/haproxy:$haproxy_tag" "$dir/id_ed25519" "$dir/id_rsa"
  printf '"known_hosts":"%s","known_hosts_hashed":"%s","ssh_config":"%s","hammer":"%s"}\n' \
    "$dir/known_hosts" "$dir/known_hosts.hashed" "$dir/ssh_config" "$bin/hammer"
}

hosts_json() {
  local host comma=''
  for host in $(host_names); do
    printf '%s{"name":"%s","address":"%s","port":22,"user":"%s","socket":"%s"}' "$comma" "$host" "$(host_ip "$host")" "$(user_of "$host")" \
      "$(host_has_pid "$host" && host_socket "$host")"
    comma=,
  done
}
