# Images without a public registry. They are built on a dockerd of their own (the "builder"), so
# that a host holds only what was pulled there.

app_base=windlass-lab/app
haproxy_tag=2.6

# The classic builder's client talks about its retirement on stderr: shown only when the build fails.
build() {
  local out
  out=$(host_docker builder build --quiet "$@" 2>&1) || die "image build: $out"
}

# The demo app, once; versions are environment and labels on top of it.
image_base() {
  local context=$dir/build/app
  mkdir -p "$context"
  cp "$bin/app" "$context/app"
  cat >"$context/Dockerfile" <<'DOCKERFILE'
FROM scratch
COPY app /bin/app
ENV PATH=/bin
EXPOSE 80
CMD ["app"]
DOCKERFILE
  build --tag "$app_base" "$context"
}

# HAProxy as Debian ships it with the libraries it is linked to, laid out as in the official image.
# Nothing in it belongs to a user: it runs as any uid.
image_haproxy() {
  local root=$dir/build/haproxy/root lib
  mkdir -p "$root"/{usr/local/sbin,usr/local/etc/haproxy,usr/sbin,tmp}
  chmod 1777 "$root/tmp"
  cp "$(command -v haproxy)" "$root/usr/local/sbin/haproxy"
  ln -sfn /usr/local/sbin/haproxy "$root/usr/sbin/haproxy"
  while read -r lib; do
    mkdir -p "$root$(dirname "$lib")"
    cp -L "$lib" "$root$lib"
  done < <(ldd "$root/usr/local/sbin/haproxy" | grep -o '/[^ ]*')
  cat >"$dir/build/haproxy/Dockerfile" <<'DOCKERFILE'
FROM scratch
COPY root /
ENV PATH=/usr/local/sbin:/usr/sbin
STOPSIGNAL SIGUSR1
ENTRYPOINT ["/usr/sbin/haproxy"]
CMD ["-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
DOCKERFILE
  build --tag "$net.1:5000/haproxy:$haproxy_tag" "$dir/build/haproxy"
  push "$net.1:5000/haproxy:$haproxy_tag" >/dev/null
}

# Pushes a reference and prints its digest.
push() {
  local out
  out=$(host_docker builder push "$1" 2>&1) || die "push $1: $out"
  sed -n 's/.*digest: \(sha256:[0-9a-f]*\).*/\1/p' <<<"$out" | tail -n 1
}

# A value inside double quotes of a Dockerfile.
quoted() {
  local v=${1//\\/\\\\}
  v=${v//\"/\\\"}
  printf '"%s"' "${v//\$/\\\$}"
}

pair() {
  [[ $2 == *=* ]] || die "$1 wants NAME=VALUE, not '$2'"
  printf '%s %s=%s\n' "$3" "${2%%=*}" "$(quoted "${2#*=}")"
}

# kamal-proxy under Kamal's name for it, laid out as in its own image: the stand-in of this directory, or the real one
# where LAB_KAMAL_PROXY names its binary.
image_kamal_proxy() {
  local ref=$net.1:5000/basecamp/kamal-proxy:v0.9.2 root=$dir/build/kamal-proxy/root binary=${LAB_KAMAL_PROXY:-}
  if [[ -z $binary ]]; then
    mkdir -p "$bin"
    stale kamal_proxy && compile kamal_proxy
    binary=$bin/kamal_proxy
  fi
  mkdir -p "$root"/{usr/local/bin,etc,tmp,home/kamal-proxy/.config/kamal-proxy}
  chmod 1777 "$root/tmp"
  cp "$binary" "$root/usr/local/bin/kamal-proxy"
  echo 'kamal-proxy:x:1001:1001::/home/kamal-proxy:/bin/sh' >"$root/etc/passwd"
  echo 'kamal-proxy:x:1001:' >"$root/etc/group"
  cat >"$dir/build/kamal-proxy/Dockerfile" <<'DOCKERFILE'
FROM scratch
COPY root /
COPY --chown=1001:1001 root/home /home
ENV PATH=/usr/local/bin
USER kamal-proxy:kamal-proxy
EXPOSE 80 443
CMD ["kamal-proxy", "run"]
DOCKERFILE
  build --tag "$ref" "$dir/build/kamal-proxy"
  echo "$ref $(push "$ref")"
}

# image REF [--env K=V]... [--label K=V]... [--file PATH=TEXT]... [--healthcheck]. APP_VERSION is REF's tag unless given.
image_build() {
  local ref=${1:?usage: lab image REF [--env K=V]... [--label K=V]... [--file PATH=TEXT]...} file context
  shift
  [[ $ref =~ ^[^/]+[.:][^/]*/ ]] || ref=$net.1:5000/$ref
  [[ ${ref##*/} == *:* ]] || die "REF needs a tag: $ref"
  file="FROM $app_base"$'\n'$(pair --env "APP_VERSION=${ref##*:}" ENV)$'\n'
  while (($#)); do
    case $1 in
      --env) file+=$(pair "$1" "${2:-}" ENV)$'\n'; shift 2 ;;
      --label) file+=$(pair "$1" "${2:-}" LABEL)$'\n'; shift 2 ;;
      --file)
        context=${context:-$(mktemp -d "$dir/build/files.XXXXXX")}
        mkdir -p "$context/root/$(dirname "${2%%=*}")"
        printf '%s' "${2#*=}" >"$context/root/${2%%=*}"
        shift 2 ;;
      --healthcheck) file+='HEALTHCHECK --interval=1s --timeout=1s --retries=3 CMD ["app", "check"]'$'\n'; shift ;;
      *) die "image: unknown option $1" ;;
    esac
  done
  if [[ -n ${context:-} ]]; then
    printf '%sCOPY root /\n' "$file" >"$context/Dockerfile"
    build --tag "$ref" "$context"
    rm -rf "$context"
  else
    build --tag "$ref" - <<<"$file"
  fi
  echo "$ref $(push "$ref")"
}
