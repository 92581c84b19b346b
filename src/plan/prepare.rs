//! What a host needs before anything can be deployed to it: state, network, proxy.

use crate::config::Config;
use crate::effect::ProxySettings;
use crate::fleet::{HostFacts, KAMAL_PROXY, KamalProxy};
use crate::name::{HostName, ImageRef};
use crate::plan::{Action, Refusal, Request, Step};

pub(super) use crate::fleet::NETWORK;

/// The steps that make a host ready; none when it is.
pub(super) fn steps(
    config: &Config,
    host: &HostName,
    facts: &HostFacts,
    request: &Request,
) -> Result<Vec<Step>, Refusal> {
    let mut actions = base(facts, request);
    networks_exist(config, host, facts)?;
    let proxied = config.roles.iter().any(|r| r.spec.route.is_some() && r.hosts.iter().any(|h| h.name == *host));
    let runs = facts.proxy.container.as_ref().is_some_and(|c| c.running);
    if proxied && runs {
        proxy_is_readable(host, facts)?;
    }
    if proxied && !runs {
        ports_are_free(config, host, facts, None)?;
        actions.extend(proxy_image(config, facts)?);
        actions.push(Action::BootProxy { settings: settings(config, facts) });
    }
    Ok(actions.into_iter().map(|action| Step { action, undo: Vec::new() }).collect())
}

/// State and network.
pub(super) fn base(facts: &HostFacts, request: &Request) -> Vec<Action> {
    let mut actions = Vec::new();
    let write_key = facts.key.as_ref() != Some(&request.key);
    if facts.home.recorded.is_none() || write_key {
        actions.push(Action::PrepareState { home: facts.home.dir().to_string(), write_key });
    }
    if !facts.networks.contains(NETWORK) {
        actions.push(Action::CreateNetwork { name: NETWORK.to_string() });
    }
    actions
}

/// Networks that roles ask for besides the shared one are somebody else's: they must be there.
fn networks_exist(config: &Config, host: &HostName, facts: &HostFacts) -> Result<(), Refusal> {
    let here = config.roles.iter().filter(|role| role.hosts.iter().any(|h| h.name == *host));
    for role in here {
        if let Some(name) = role.spec.options.network.iter().find(|name| !facts.networks.contains(*name)) {
            let message = format!("{host} has no network `{name}`, which role {} joins (options/network)", role.name);
            return Err(Refusal::new(message).hint(format!("create it there: docker network create {name}")));
        }
    }
    Ok(())
}

/// The proxy's image has to be there before its container is made.
pub(super) fn proxy_image(config: &Config, facts: &HostFacts) -> Result<Option<Action>, Refusal> {
    let image = &config.proxy.image;
    if facts.images.iter().any(|i| i.tags.contains(image) || i.digests.contains(image)) {
        return Ok(None);
    }
    let image: ImageRef = image.parse().map_err(|e| Refusal::new(format!("proxy.run.image: {e}")))?;
    Ok(Some(Action::Pull { tag: image.clone(), image }))
}

pub(super) fn settings(config: &Config, facts: &HostFacts) -> ProxySettings {
    ProxySettings {
        image: config.proxy.image.clone(),
        http_port: config.proxy.http_port,
        https_port: config.proxy.https_port,
        options: config.proxy.options.clone(),
        home: facts.home.dir().to_string(),
        uid: if facts.engine.rootless { 0 } else { facts.home.uid },
    }
}

/// A proxy that was made from other settings than today's: a deploy never replaces it.
pub fn other_settings(config: &Config, host: &HostName, facts: &HostFacts) -> Option<String> {
    let container = facts.proxy.container.as_ref().filter(|c| c.running)?;
    let wanted = settings(config, facts);
    let same = match &container.settings {
        Some(digest) => *digest == wanted.digest(),
        // An older windlass made it: what it did not know cannot be in it.
        None => {
            let ports = [wanted.http_port, wanted.https_port];
            container.image == wanted.image
                && wanted.options == crate::spec::ProxyOptions::default()
                && ports.iter().all(|port| container.host_ports.contains(port))
        }
    };
    (!same).then(|| {
        format!("the proxy on {host} runs with other settings than `proxy.run` has today: `windlass proxy reboot` applies them")
    })
}

/// Where the proxy does not say what it routes to, nothing is changed: the way back would not be known.
pub(super) fn proxy_is_readable(host: &HostName, facts: &HostFacts) -> Result<(), Refusal> {
    let Some(why) = &facts.proxy.unreadable else { return Ok(()) };
    let message = format!("the proxy on {host} does not say what it routes to: {why}");
    Err(Refusal::new(message)
        .hint(format!("look at `docker logs windlass-proxy` on {host}, and at the file named above")))
}

fn held_by_program(host: &HostName, port: u16, program: Option<&str>) -> Refusal {
    let other_ports = "or give the proxy other ports: `proxy.run.http_port`, `proxy.run.https_port`";
    match program {
        Some(program) => Refusal::new(format!("port {port} of {host} is held by the program {program}"))
            .hint(format!("stop it there, {other_ports}")),
        None => Refusal::new(format!("port {port} of {host} is held by a program whose name this login may not see"))
            .hint(format!("`sudo ss -ltnp 'sport = :{port}'` on {host} names it; stop it, {other_ports}")),
    }
}

/// `leaving`: a container that gives its ports up.
pub(super) fn ports_are_free(
    config: &Config,
    host: &HostName,
    facts: &HostFacts,
    leaving: Option<&KamalProxy>,
) -> Result<(), Refusal> {
    let own = facts.proxy.container.as_ref().map(|c| &c.id);
    let leaves = |port: u16| leaving.is_some_and(|l| l.running && l.ports.iter().any(|p| p.host_port == Some(port)));
    let options = &config.proxy.options;
    let web = [config.proxy.http_port, config.proxy.https_port];
    let wanted = web.into_iter().chain(options.metrics_port).filter(|p| options.publish && !leaves(*p));
    for port in wanted {
        let holder = facts.all_containers.iter().find(|c| Some(&c.id) != own && c.host_ports.contains(&port));
        if let Some(holder) = holder.filter(|c| c.name == KAMAL_PROXY) {
            return Err(Refusal::new(format!(
                "port {port} of {host} is held by `{}`: Kamal set this host up",
                holder.name
            ))
            .hint("windlass setup --take-over puts its own proxy in kamal-proxy's place, with a gap that it prints"));
        }
        if let Some(holder) = holder {
            let refusal = Refusal::new(format!("port {port} of {host} is held by the container `{}`", holder.name));
            return Err(refusal.hint(format!(
                "stop it (`docker stop {}`), or give the proxy other ports: `proxy.run.http_port`, `proxy.run.https_port`",
                holder.name
            )));
        }
        if let Some(program) = facts.listening.get(&port) {
            return Err(held_by_program(host, port, program.as_deref()));
        }
    }
    Ok(())
}
