use crate::fleet::{BackendName, Container, HostFacts, State};
use crate::history::testing::{at, backend, container, empty_host, name, run};
use crate::history::{leftovers, serving};
use crate::release::{Entry, Fact, SCHEMA};

fn host(containers: Vec<Container>) -> HostFacts {
    HostFacts { containers, ..empty_host() }
}

fn switched(facts: &mut HostFacts, n: u64, to: &Container) {
    let fact = Fact::Switched { role: name("web"), from: None, to: to.id.clone(), release: Some(run(n)) };
    facts.journal.entries.push(Entry { schema: SCHEMA, run: run(n), at: at(0), fact });
}

fn served(facts: &HostFacts) -> Option<&str> {
    serving(facts, &name("app"), None, &name("web")).map(|c| c.name.as_str())
}

#[test]
fn the_proxy_has_the_last_word_whatever_is_newer() {
    let old = container(1, "web", "v1", Some(&run(1)), 10);
    let new = container(2, "web", "v2", Some(&run(2)), 20);
    let mut facts = host(vec![old.clone(), new.clone()]);
    switched(&mut facts, 2, &new);
    facts.proxy.backends.insert(BackendName::new(&name("app"), &name("web"), None), backend(Some(&old.id)));
    assert_eq!(served(&facts), Some("app-web-v1_1"));
    let rest: Vec<_> = leftovers(&facts, &name("app"), None, &name("web")).into_iter().map(|c| &c.name).collect();
    assert_eq!(rest, ["app-web-v2_2"]);
    facts.containers[0].state = State::Exited { code: 1, oom: false };
    assert_eq!(served(&facts), Some("app-web-v1_1"), "what the proxy routes to, even stopped");
}

#[test]
fn without_a_route_the_newest_switch_among_the_running_counts_then_the_newest_container() {
    let old = container(1, "web", "v1", None, 10);
    let new = container(2, "web", "v2", None, 20);
    let other = container(3, "worker", "v3", None, 30);
    let mut facts = host(vec![old.clone(), new.clone(), other]);
    assert_eq!(served(&facts), Some("app-web-v2_2"), "Kamal's: the newest of the role");
    switched(&mut facts, 1, &new);
    switched(&mut facts, 2, &old);
    assert_eq!(served(&facts), Some("app-web-v1_1"));
    facts.containers[0].state = State::Exited { code: 0, oom: false };
    assert_eq!(served(&facts), Some("app-web-v2_2"), "a stopped one never serves without a route");
    facts.proxy.backends.insert(BackendName::new(&name("app"), &name("web"), None), backend(None));
    assert_eq!(served(&facts), Some("app-web-v2_2"), "a route to nothing says nothing");
    facts.containers[1].state = State::Created;
    assert_eq!(served(&facts), None);
}
