//! What has to be run on a host to get Docker from the host's own package manager.

/// What a host said of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// `docker` is there.
    pub(super) docker: bool,
    /// The login is root.
    pub(super) root: bool,
    /// sudo works without a password.
    pub(super) sudo: bool,
    /// The first package manager of those that are known.
    pub(super) manager: Option<String>,
    /// systemd or OpenRC keeps services.
    pub(super) services: Option<String>,
    /// The login's name.
    pub(super) user: String,
}

/// For `sh`; one fact a line.
pub(super) const LOOK: &str = concat!(
    "command -v docker >/dev/null 2>&1 && echo docker; ",
    "[ \"$(id -u)\" = 0 ] && echo root; ",
    "command -v sudo >/dev/null 2>&1 && sudo -n true >/dev/null 2>&1 && echo sudo; ",
    "for m in apt-get dnf yum zypper apk pacman; do ",
    "if command -v $m >/dev/null 2>&1; then echo \"manager $m\"; break; fi; done; ",
    "for s in systemctl rc-update; do ",
    "if command -v $s >/dev/null 2>&1; then echo \"services $s\"; break; fi; done; ",
    "echo \"user $(id -un)\""
);

impl Found {
    /// From the lines that [`LOOK`] prints. A login's greeting in between does no harm.
    pub(super) fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("docker", "") => found.docker = true,
                ("root", "") => found.root = true,
                ("sudo", "") => found.sudo = true,
                ("manager", name) => found.manager = Some(name.to_string()),
                ("services", name) => found.services = Some(name.to_string()),
                ("user", name) => found.user = name.to_string(),
                _ => {}
            }
        }
        found
    }

    /// The commands to run one after the other; none where Docker is.
    ///
    /// # Errors
    /// Why it cannot be installed, with what to do.
    pub(super) fn commands(&self) -> Result<Vec<String>, String> {
        if self.docker {
            return Ok(Vec::new());
        }
        if !self.root && !self.sudo {
            return Err(format!(
                "{} is not root and has no sudo without a password; install Docker there by hand, or let a root login do it",
                self.user
            ));
        }
        let install: &[&str] = match self.manager.as_deref() {
            Some("apt-get") => &["apt-get update", "env DEBIAN_FRONTEND=noninteractive apt-get install -y docker.io"],
            // Fedora calls it moby-engine, Amazon Linux docker.
            Some("dnf") => &["sh -c 'dnf install -y moby-engine || dnf install -y docker'"],
            Some("yum") => &["yum install -y docker"],
            Some("zypper") => &["zypper --non-interactive install docker"],
            Some("apk") => &["apk add docker"],
            Some("pacman") => &["pacman -Sy --noconfirm docker"],
            _ => {
                let text = "no package manager that is known (apt-get, dnf, yum, zypper, apk, pacman); install Docker 20.10 or newer by hand";
                return Err(text.to_string());
            }
        };
        let enable: &[&str] = match self.services.as_deref() {
            Some("systemctl") => &["systemctl enable --now docker"],
            Some("rc-update") => &["rc-update add docker default", "rc-service docker start"],
            _ => &[],
        };
        let sudo = if self.root { "" } else { "sudo -n " };
        let mut commands: Vec<String> = install.iter().chain(enable).map(|c| format!("{sudo}{c}")).collect();
        if !self.root {
            // In effect from the next login on.
            let user = shlex::try_quote(&self.user).map_err(|error| error.to_string())?;
            commands.push(format!("{sudo}usermod -aG docker {user}"));
        }
        Ok(commands)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(facts: &str) -> Result<Vec<String>, String> {
        Found::parse(facts).commands()
    }

    #[test]
    fn where_docker_is_nothing_is_run() {
        assert_eq!(commands("docker\nroot\nmanager apt-get\nuser root"), Ok(vec![]));
    }

    #[test]
    fn root_and_sudo_run_the_hosts_own_package_manager() {
        let debian = commands("Welcome!\nroot\nmanager apt-get\nservices systemctl\nuser root").unwrap();
        assert_eq!(
            debian,
            [
                "apt-get update",
                "env DEBIAN_FRONTEND=noninteractive apt-get install -y docker.io",
                "systemctl enable --now docker"
            ]
        );
        let alpine = commands("sudo\nmanager apk\nservices rc-update\nuser deploy").unwrap();
        assert_eq!(
            alpine,
            [
                "sudo -n apk add docker",
                "sudo -n rc-update add docker default",
                "sudo -n rc-service docker start",
                "sudo -n usermod -aG docker deploy"
            ]
        );
    }

    #[test]
    fn without_the_right_or_the_means_it_says_what_to_do() {
        assert!(commands("manager apt-get\nuser deploy").unwrap_err().contains("deploy is not root"));
        assert!(commands("root\nuser root").unwrap_err().contains("by hand"));
    }

    #[test]
    fn the_script_is_one_for_any_posix_shell() {
        let checked = std::process::Command::new("sh").args(["-n", "-c", LOOK]).status().unwrap();
        assert!(checked.success());
        let output = std::process::Command::new("sh").args(["-c", LOOK]).output().unwrap();
        assert!(!Found::parse(&String::from_utf8(output.stdout).unwrap()).user.is_empty());
    }
}
