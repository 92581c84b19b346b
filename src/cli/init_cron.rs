//! `windlass init --cron`: files that prune every night, from `templates/cron`.

use crate::cli::args::Global;
use crate::cli::{Failure, init, output};
use minijinja::{Environment, context};
use std::path::Path;

const DIR: &str = "config/cron";
const FILES: [(&str, &str); 3] = [
    ("windlass-prune.crontab", include_str!("../../templates/cron/windlass-prune.crontab")),
    ("windlass-prune.service", include_str!("../../templates/cron/windlass-prune.service")),
    ("windlass-prune.timer", include_str!("../../templates/cron/windlass-prune.timer")),
];

/// Writes them for the project in the working directory; files that exist are left alone.
pub(super) fn run(global: &Global) -> Result<(), Failure> {
    let unusable = |what: &str, error: std::io::Error| Failure::refused(format!("{what}: {error}"));
    let dir = std::env::current_dir().map_err(|e| unusable("the working directory", e))?;
    let windlass = std::env::current_exe().map_err(|e| unusable("the path of windlass itself", e))?;
    let text = |path: &Path| match path.to_str() {
        Some(text) if !text.contains(['\n', '\r']) => Ok(text.to_string()),
        _ => Err(Failure::refused(format!("{}: this path cannot stand in a crontab or a unit", path.display()))),
    };
    let files = render(&text(&dir)?, &text(&windlass)?, &global.flags())?;
    for (name, content) in files {
        let path = Path::new(DIR).join(name);
        let what = if init::write_new(&path, &content, 0o644)? { "wrote" } else { "exists, left alone:" };
        output::print(&format!("{what} {}\n", path.display()));
    }
    output::print("Each says at its top how it is installed: the crontab, or the service and the timer.\n");
    Ok(())
}

fn render(dir: &str, windlass: &str, flags: &str) -> Result<Vec<(&'static str, String)>, Failure> {
    let values = context! {
        file => format!("{DIR}/windlass-prune.crontab"),
        unit_files => format!("{DIR}/windlass-prune.service {DIR}/windlass-prune.timer"),
        dir_in_shell => in_crontab(&quoted(dir)?),
        windlass_in_shell => in_crontab(&quoted(windlass)?),
        flags_in_shell => in_crontab(flags),
        dir_in_unit => dir.replace('%', "%%"),
        windlass_in_unit => in_unit(windlass),
        flags_in_unit => flags_in_unit(flags),
    };
    let environment = Environment::new();
    let render = |(name, template): (&'static str, &str)| {
        let text = environment.render_str(template, &values);
        text.map(|text| (name, text + "\n")).map_err(|error| Failure::refused(format!("{name}: {error}")))
    };
    FILES.into_iter().map(render).collect()
}

fn quoted(text: &str) -> Result<String, Failure> {
    shlex::try_quote(text).map(|q| q.into_owned()).map_err(|error| Failure::refused(format!("{text:?}: {error}")))
}

/// cron takes a `%` for the end of the line.
fn in_crontab(shell: &str) -> String {
    shell.replace('%', "\\%")
}

/// A word of systemd's `ExecStart=`: in double quotes, without its specifiers and variables.
fn in_unit(word: &str) -> String {
    let escaped = word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    format!("\"{escaped}\"")
}

fn flags_in_unit(flags: &str) -> String {
    shlex::split(flags).unwrap_or_default().iter().map(|word| format!(" {}", in_unit(word))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_cron_and_systemd() {
        let files = render("/srv/my shop 100%", "/usr/bin/windlass", " -c 'my file.yml' -d staging").unwrap();
        let [crontab, service, timer] = &files[..] else { panic!("{files:?}") };
        let line = crontab.1.lines().last().unwrap();
        let expected = "17 3 * * *  cd '/srv/my shop 100\\%' && /usr/bin/windlass prune -q -c 'my file.yml' -d staging";
        assert_eq!(line, expected);
        assert!(service.1.contains("\nWorkingDirectory=/srv/my shop 100%%\n"), "{}", service.1);
        let start = "\nExecStart=\"/usr/bin/windlass\" prune -q \"-c\" \"my file.yml\" \"-d\" \"staging\"\n";
        assert!(service.1.contains(start), "{}", service.1);
        assert!(timer.1.contains("cp config/cron/windlass-prune.service config/cron/windlass-prune.timer "));
    }
}
