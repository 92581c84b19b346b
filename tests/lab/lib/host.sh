# One host: its files, its start (pid 1), its end, and commands on it.

host_dir() { echo "$dir/hosts/$1"; }

# The machine's pid of the host's pid 1; empty when the host is not running.
host_pid() {
  local pid file
  file=$(host_dir "$1")/pid
  [[ -f $file ]] || return 0
  pid=$(<"$file")
  [[ $(readlink "/proc/$pid/ns/net" 2>/dev/null) == "net:[$(stat -Lc %i "/run/netns/$(ns_of "$1")" 2>/dev/null)]" ]] || return 0
  echo "$pid"
}

running_pid() {
  host_number "$1" >/dev/null
  local pid
  pid=$(host_pid "$1")
  [[ -n $pid ]] || die "$1 is not running (lab start $1)"
  echo "$pid"
}

# Everything of the host that outlives a reboot. Written once.
host_files() {
  local host=$1 home
  home=$(host_dir "$host")
  [[ ! -f $home/complete ]] || return 0
  mkdir -p "$home"/{root,home,docker,log,etc/ssh}
  chmod 755 "$dir" "$dir/hosts" "$home" "$home/home"
  chmod 700 "$home/root"
  account_files "$host" "$home/etc"
  printf '127.0.0.1 localhost\n%s %s\n' "$(host_ip "$host")" "$host" >"$home/etc/hosts"
  echo "$host" >"$home/etc/hostname"
  # Nobody listens on port 53 there: names other than containers' are refused at once. Without any
  # name server Docker would put public ones in, and each look-up would wait for them.
  echo "nameserver $net.1" >"$home/etc/resolv.conf"
  [[ $host == builder ]] || ssh_files "$host" "$home"
  touch "$home/complete"
}

account_files() {
  local user etc=$2 gid
  user=$(user_of "$1")
  gid=$(awk -F: '$1 == "docker" {print $3}' /etc/group)
  awk -F: '$1 != "root" && $1 != "deploy" && $3 != 1000' /etc/passwd >"$etc/passwd"
  awk -F: '$1 != "docker" && $1 != "deploy" && $3 != 1000' /etc/group >"$etc/group"
  echo "root:x:0:0:root:/root:/bin/bash" >>"$etc/passwd"
  if [[ $user == deploy ]]; then
    echo "deploy:x:1000:1000:deploy:/home/deploy:/bin/bash" >>"$etc/passwd"
    echo "deploy:x:1000:" >>"$etc/group"
  fi
  echo "docker:x:${gid:-998}:${user#root}" >>"$etc/group"
  # '*' is "no password", which sshd without PAM lets in by key; '!' would be a locked account.
  awk -F: '{print $1 ":*:19000:0:99999:7:::"}' "$etc/passwd" >"$etc/shadow"
  chmod 600 "$etc/shadow"
}

ssh_files() {
  local host=$1 home=$2 user owner where type
  user=$(user_of "$host")
  for type in ed25519 rsa; do
    ssh-keygen -q -t "$type" $([[ $type == rsa ]] && echo -b 2048) -N '' -C "$host" -f "$home/etc/ssh/ssh_host_${type}_key"
  done
  where=$home/root owner=0
  if [[ $user == deploy ]]; then where=$home/home/deploy owner=1000; fi
  mkdir -p "$where/.ssh"
  cat "$dir"/id_*.pub >"$where/.ssh/authorized_keys"
  chmod 700 "$where" "$where/.ssh"
  chown -R "$owner:$owner" "$where"
  sshd_config "$user" >"$home/etc/ssh/sshd_config"
}

sshd_config() {
  cat <<CONFIG
Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
HostKey /etc/ssh/ssh_host_rsa_key
AllowUsers $1
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PrintMotd no
PidFile /run/sshd.pid
LogLevel VERBOSE
Subsystem sftp internal-sftp
CONFIG
}

# Starts the host and returns when its engine and its sshd answer.
host_start() {
  local host=$1 home ns
  home=$(host_dir "$host") ns=$(ns_of "$1")
  if [[ -z $(host_pid "$host") ]]; then
    host_kill "$host"
    host_files "$host"
    link_up "$host"
    modest_containers "$host"
    rm -f "$home/pid"
    # The lock (9) stays with the caller; the logs are 3 and 4, for the host hides the machine's /tmp.
    setsid nsenter --net="/run/netns/$ns" unshare --mount --uts --pid --fork --kill-child \
      env LAB_DIR="$dir" LAB_NET= "$BASH" "$here/lab" __init "$host" \
      </dev/null >>"$home/log/init.log" 2>&1 3>>"$home/log/dockerd.log" 4>>"$home/log/sshd.log" 9>&- &
    disown
  fi
  await "$host" "pid 1" host_has_pid "$host"
  await "$host" "dockerd" engine_answers "$host"
  if [[ $host != builder ]]; then await "$host" "sshd" port_open "$(host_ip "$host")" 22; fi
  [[ ! -e $home/cut ]] || drop_packets "$host"
  [[ ! -e $home/delay ]] || relay_start "$host" "$(<"$home/delay")"
}

# Pid 1 of the host, in fresh mount, UTS and pid namespaces.
host_init() {
  local host=$1 home pid file
  home=$(host_dir "$host")
  read -r pid _ </proc/self/stat # /proc is still the machine's: this is the pid seen from outside
  mount --make-rprivate /
  mount -t proc proc /proc
  echo "$host" >/proc/sys/kernel/hostname
  for file in passwd group shadow hosts hostname resolv.conf ssh; do
    [[ ! -e $home/etc/$file || ! -e /etc/$file ]] || mount --bind "$home/etc/$file" "/etc/$file"
  done
  mkdir -p /var/lib/docker
  mount --bind "$home/root" /root
  mount --bind "$home/home" /home
  mount --bind "$home/docker" /var/lib/docker
  echo "$pid" >"$home/pid.new" && mv "$home/pid.new" "$home/pid"
  # Copies of the other hosts' namespace files would keep those namespaces alive.
  umount --recursive --lazy /run/netns 2>/dev/null || true
  mount -t tmpfs -o mode=755 tmpfs /run
  mount -t tmpfs -o mode=1777 tmpfs /tmp
  mkdir -p /run/sshd /run/lab /run/lock
  cd /
  dockerd_script "$host" >/run/lab/dockerd
  sh /run/lab/dockerd >&3 2>&1 4>&- &
  if [[ $host != builder ]]; then env -i PATH="$PATH" /usr/sbin/sshd -D -e -f /etc/ssh/sshd_config >&4 2>&1 3>&- & fi
  exec 3>&- 4>&-
  while :; do sleep 86400 & wait $! || true; done # bash reaps orphans while it waits
}

# Containers of all hosts share this machine's CPUs with the sshds and dockerds. Under full load these were seen to wait
# 17 s for their turn (0.3 s with these shares), which a host with CPUs of its own does not do to them.
modest_containers() {
  local group
  for group in /sys/fs/cgroup/cpu /sys/fs/cgroup; do
    [[ -e $group/cpu.shares || -e $group/cgroup.controllers ]] || continue
    mkdir -p "$group/lab-$id-$1"
    if [[ -e $group/lab-$id-$1/cpu.shares ]]; then echo 64 >"$group/lab-$id-$1/cpu.shares"; fi
    if [[ -e $group/lab-$id-$1/cpu.weight ]]; then echo 6 >"$group/lab-$id-$1/cpu.weight"; fi
    return
  done
}

# cgroupfs: the systemd driver would want the machine's systemd.
dockerd_script() {
  local extra=''
  [[ $1 != builder ]] || extra='--bridge none --iptables=false --ip-forward=false'
  echo '{}' >/run/lab/daemon.json
  cat <<SCRIPT
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root dockerd \\
  --config-file /run/lab/daemon.json --host unix:///run/docker.sock --pidfile /run/docker.pid --group docker \\
  --data-root /var/lib/docker --exec-root /run/docker --exec-opt native.cgroupdriver=cgroupfs \\
  --insecure-registry $net.0/24 --cgroup-parent lab-$id-$1 $extra
SCRIPT
}

# SIGKILL for everything on the host; returns when the last process is gone, and with it its mounts.
host_kill() {
  local host=$1 ns pids deadline=$((SECONDS + 20))
  ns=$(ns_of "$host")
  pids=$(ns_pids "$ns")
  while [[ -n $pids ]]; do
    # shellcheck disable=SC2086
    kill -KILL $pids 2>/dev/null || true
    ((SECONDS < deadline)) || die "$host: processes $pids do not die"
    sleep 0.05
    pids=$(ns_pids "$ns")
  done
}

# On a host: root, a clean environment, its own home.
host_enter() {
  local pid=$1
  shift
  nsenter --target "$pid" --mount --uts --pid --net -- env -i \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root LANG=C.UTF-8 TERM="${TERM:-dumb}" \
    /bin/sh -c 'cd; exec "$@"' sh "$@"
}

host_exec() {
  (($# >= 2)) || die "usage: lab exec HOST CMD..."
  local pid
  pid=$(running_pid "$1")
  shift
  host_enter "$pid" "$@"
}

# The engine's socket seen from the machine: through the host's own root directory.
host_socket() { echo "/proc/$(running_pid "$1")/root/run/docker.sock"; }

host_docker() {
  local socket
  socket=$(host_socket "${1:?usage: lab docker HOST ARGS...}")
  shift
  DOCKER_BUILDKIT=0 DOCKER_CONFIG=$dir/docker-config docker --host "unix://$socket" "$@"
}

host_has_pid() { [[ -n $(host_pid "$1") ]]; }
engine_answers() { host_docker "$1" version >/dev/null 2>&1; }
port_open() { (exec 5<>"/dev/tcp/$1/$2") 2>/dev/null; }

# await HOST WHAT CONDITION...: a deadline with the host's own last words.
await() {
  local host=$1 what=$2 deadline=$((SECONDS + 60))
  shift 2
  until "$@"; do
    [[ -d /proc/$$ ]] || exit 1 # the `lab up` this job belongs to was killed: leave the field to `lab down`
    if ((SECONDS >= deadline)); then
      tail -n 5 "$(host_dir "$host")"/log/*.log >&2 || true
      die "$host: $what did not come up within 60 s (logs: $(host_dir "$host")/log)"
    fi
    sleep 0.1
  done
}
