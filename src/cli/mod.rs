//! The command line: one file a command, and the wiring of adapters to traits.

mod actor;
mod aliases;
mod app;
mod args;
mod audit;
mod completions;
mod config;
mod confirm;
mod deploy;
mod details;
mod docs;
mod failure;
mod flow;
mod front;
mod git;
mod hooks;
mod image;
mod init;
mod init_cron;
mod lock;
mod maintenance;
mod man;
mod output;
mod pages;
mod passphrase;
mod process;
mod project;
mod promote;
mod proxy;
mod prune;
mod releases;
mod releases_diff;
mod releases_mark;
mod releases_rm;
mod releases_show;
mod restart;
mod retained;
mod rollback;
mod server;
mod session;
mod setup;
mod signals;
mod status;
mod status_host;
mod take_over;
mod terminal;
mod version;
mod wire;

pub use failure::{Failure, Kind};

use aliases::NoCommand;
use args::{Cli, Command, Global};
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the command line and returns its exit code (design, rule 12).
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match aliases::parse(arguments.into_iter().collect()).map_err(|none| *none) {
        Ok(cli) => cli,
        Err(NoCommand::Clap(error)) => {
            // Help and version are no errors and go to standard output; a closed pipe is nobody's problem.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(Kind::Usage.code()) } else { ExitCode::SUCCESS };
        }
        Err(NoCommand::Failure(failure)) => return report(&failure),
    };
    if let Err(failure) = cli.command.check(&cli.global) {
        return report(&failure);
    }
    trace(&cli.global);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&Failure::refused(format!("cannot start: {error}"))),
    };
    let result = runtime.block_on(run(cli));
    // A prompt that nobody answers, or a hook's pipe, must not keep the process alive.
    runtime.shutdown_background();
    result.map_or_else(|failure| report(&failure), |()| ExitCode::SUCCESS)
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let global = cli.global;
    match cli.command {
        Command::Init(args) => init::run(&global, &args),
        Command::Setup(args) => setup::run(global, args).await,
        Command::Deploy(args) => deploy::run(global, args).await,
        Command::Rollback(args) => rollback::run(global, args).await,
        Command::Restart(args) => restart::run(global, args).await,
        Command::Releases(args) => releases::run(global, args).await,
        Command::Status(args) => status::run(global, args).await,
        Command::Prune(args) => prune::run(global, args).await,
        Command::Config(args) => config::run(&global, &args),
        Command::Lock(args) => lock::run(global, args).await,
        Command::App(args) => app::run(global, args).await,
        Command::Proxy(args) => proxy::run(global, args).await,
        Command::Server(args) => server::run(global, args).await,
        Command::Details(args) => details::run(global, &args).await,
        Command::Audit(args) => audit::run(global, &args).await,
        Command::Docs(args) => docs::run(&global, &args),
        Command::Completions(args) => {
            completions::run(&args);
            Ok(())
        }
        Command::Man(args) => man::run(&global, &args),
        Command::Version(args) => version::run(&global, &args),
    }
}

fn report(failure: &Failure) -> ExitCode {
    eprint!("{}", failure.text());
    failure.exit_code()
}

/// `-v` shows what windlass does, `-vv` the protocols as well. Nothing that is traced ever holds a secret.
fn trace(global: &Global) {
    let level = match global.verbose {
        0 => return,
        1 => "windlass=debug",
        // Not bollard's debug: it prints the bodies of requests, and a container's creation holds the secrets.
        _ => "windlass=trace,russh=debug,bollard=info",
    };
    let filter = tracing_subscriber::EnvFilter::new(level);
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // Only fails when a subscriber is set already, as in a test.
    let _ = subscriber.try_init();
}
