# Which engine sockets there are, and whether this login may use them. Arguments: where to look.
export LC_ALL=C;
u=$(id -u);
echo "@user $(id -un)";
echo "@groups $(id -Gn)";
for s in "$@"; do
  case "$s" in
    DOCKER_HOST) case "$DOCKER_HOST" in unix://*) s="${DOCKER_HOST#unix://}";; *) continue;; esac;;
    XDG_RUNTIME_DIR/*) [ -n "$XDG_RUNTIME_DIR" ] || continue; s="$XDG_RUNTIME_DIR/${s#XDG_RUNTIME_DIR/}";;
    /run/user/UID/*) s="/run/user/$u/${s#/run/user/UID/}";;
  esac;
  if [ -S "$s" ]; then
    if [ -r "$s" ] && [ -w "$s" ]; then echo "@usable $s"; else echo "@denied $s"; fi;
  else
    case "$(LC_ALL=C ls -d "$s" 2>&1)" in *": Permission denied") echo "@denied $s";; esac;
  fi;
done;
command -v docker > /dev/null 2>&1 && echo "@cli";
echo "@done"
