# Two registries on the bridge address, one storage: port 5000 open, port 5001 with basic auth.

registry_user=windlass
# Three '?' and three '~': whatever the alignment, base64 of it has both '+' and '/', which the
# URL-safe alphabet of X-Registry-Auth must turn into '-' and '_'.
registry_password='p@ss+w/rd???~~~'

registry_files() {
  mkdir -p "$dir/registry/data"
  # libxcrypt's bcrypt through perl-base: no package needed for one password line.
  # shellcheck disable=SC2016
  printf '%s:%s\n' "$registry_user" "$(perl -e 'print crypt($ARGV[0], q($2b$05$) . "windlasslabwindlasslab")' "$registry_password")" \
    >"$dir/registry/htpasswd"
  registry_config 5000 >"$dir/registry/5000.yml"
  registry_config 5001 >"$dir/registry/5001.yml"
}

registry_config() {
  cat <<CONFIG
version: 0.1
log: {level: warn}
storage:
  filesystem: {rootdirectory: $dir/registry/data}
  delete: {enabled: true}
http: {addr: "$net.1:$1"}
CONFIG
  [[ $1 == 5000 ]] || echo "auth: {htpasswd: {realm: windlass lab, path: $dir/registry/htpasswd}}"
}

registry_pid() {
  local pid
  pid=$(cat "$dir/registry/$1.pid" 2>/dev/null) || return 0
  if tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q "docker-registry serve $dir/registry/$1.yml"; then echo "$pid"; fi
}

registry_start() {
  local port deadline=$((SECONDS + 20))
  for port in 5000 5001; do
    [[ -z $(registry_pid "$port") ]] || continue
    WINDLASS_LAB_ID=$id setsid docker-registry serve "$dir/registry/$port.yml" </dev/null >>"$dir/registry/$port.log" 2>&1 9>&- &
    echo $! >"$dir/registry/$port.pid"
    disown
  done
  for port in 5000 5001; do
    until port_open "$net.1" "$port"; do
      ((SECONDS < deadline)) || { tail -n 5 "$dir/registry/$port.log" >&2; die "the registry on port $port does not answer"; }
      sleep 0.05
    done
  done
}

registry_stop() {
  local port pid
  for port in 5000 5001; do
    pid=$(registry_pid "$port")
    [[ -z $pid ]] || kill -KILL "$pid"
    while [[ -n $(registry_pid "$port") ]]; do sleep 0.02; done
    rm -f "$dir/registry/$port.pid"
  done
}

registry_verb() {
  case ${1:-} in
    start | stop) "registry_$1" ;;
    *) die "usage: lab registry stop|start" ;;
  esac
}
