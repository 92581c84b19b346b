//! Bytes in, facts out, and back; the files of `tests/golden` must be read and written for ever.

use super::*;
use crate::effect::{Connector, FileSet};
use crate::fleet::Freeze;
use crate::history::missing_lines;
use crate::release::{
    Entry, Fact, FingerprintKey, IntendedRelease, Mark, Outcome, ReleaseKind, ReleaseRecord, RunVerb, SCHEMA,
};
use proptest::prelude::*;

const GOLDEN_JOURNAL: &[u8] = include_bytes!("../../tests/golden/journal.jsonl");
const GOLDEN_RECORD: &[u8] = include_bytes!("../../tests/golden/release.json");
const GOLDEN_FREEZE: &[u8] = include_bytes!("../../tests/golden/freeze");
const GOLDEN_REPORT: &[u8] = include_bytes!("../../tests/golden/report.json");
const RUN: &str = "01JGZ3V8Q4N5X6Y7Z8A9B0C1D2";

fn entry(fact: Fact) -> Entry {
    Entry { schema: SCHEMA, run: RUN.parse().unwrap(), at: "2026-01-05T09:00:00.5Z".parse().unwrap(), fact }
}

/// One of each fact, with and without what is optional.
fn all_facts() -> Vec<Entry> {
    let role = || "web".parse().unwrap();
    let id = |digit: &str| digit.repeat(64).parse().unwrap();
    let kind = ReleaseKind::Rollback { of: Some("01JGZ3V8Q4N5X6Y7Z8A9B0C1D1".parse().unwrap()), current_config: false };
    let release = |kind| Some(IntendedRelease { number: 43, kind, version: "v1".parse().unwrap() });
    let hosts = || vec!["10.0.0.1".parse().unwrap(), "host-2".parse().unwrap()];
    let intent = |verb, release| Fact::Intent { verb, release, actor: "alice@laptop".into(), hosts: hosts() };
    let marked = |mark| Fact::Marked { release: RUN.parse().unwrap(), mark };
    let facts = [
        intent(RunVerb::Setup, release(ReleaseKind::Adopted)),
        intent(RunVerb::Deploy, release(ReleaseKind::Deploy)),
        intent(RunVerb::Rollback, release(kind)),
        intent(RunVerb::Prune, None),
        intent(RunVerb::Start, None),
        intent(RunVerb::Stop, None),
        Fact::Switched { role: role(), from: None, to: id("a"), release: None },
        Fact::Switched { role: role(), from: Some(id("a")), to: id("b"), release: Some(RUN.parse().unwrap()) },
        Fact::Stopped { role: role(), from: id("b") },
        Fact::Pruned { containers: 2, images: 1 },
        Fact::Outcome { outcome: Outcome::Succeeded, reason: None },
        Fact::Outcome { outcome: Outcome::Reverted, reason: Some("host-2: \"größer\"\nsecond line".into()) },
        Fact::Outcome { outcome: Outcome::Interrupted, reason: None },
        Fact::Outcome { outcome: Outcome::Unverified, reason: None },
        Fact::Outcome { outcome: Outcome::Abandoned, reason: None },
        marked(Mark::Labelled { label: Some("before-the-migration".parse().unwrap()) }),
        marked(Mark::Labelled { label: None }),
        marked(Mark::Pinned { actor: "alice@laptop".into(), message: Some("the auditors' version".into()) }),
        marked(Mark::Pinned { actor: "alice@laptop".into(), message: None }),
        marked(Mark::Unpinned),
        marked(Mark::Removed),
        intent(RunVerb::Label, None),
        intent(RunVerb::Pin, None),
        intent(RunVerb::Unpin, None),
        intent(RunVerb::Remove, None),
        intent(RunVerb::Proxy, None),
        intent(RunVerb::Certificates, None),
        intent(RunVerb::Maintenance, None),
        intent(RunVerb::Live, None),
    ];
    facts.map(entry).into()
}

fn rendered(entries: &[Entry]) -> Vec<u8> {
    entries.iter().flat_map(line).collect()
}

#[test]
fn the_golden_journal_is_read_and_written_as_ever() {
    assert_eq!(String::from_utf8(rendered(&all_facts())).unwrap(), String::from_utf8_lossy(GOLDEN_JOURNAL));
    let journal = parse(GOLDEN_JOURNAL);
    assert_eq!((journal.entries, journal.unreadable, journal.torn), (all_facts(), None, false));
}

#[test]
fn the_golden_record_and_freeze_are_read_and_written_as_ever() {
    let files = FileSet::from([
        (format!("releases/{RUN}.json"), GOLDEN_RECORD.to_vec()),
        ("freeze".to_string(), GOLDEN_FREEZE.to_vec()),
    ]);
    let state = read(&files);
    assert!(state.bad_records.is_empty(), "{:?}", state.bad_records);
    let record = &state.records[&RUN.parse().unwrap()];
    assert_eq!(String::from_utf8(render_record(record)).unwrap(), String::from_utf8_lossy(GOLDEN_RECORD));
    assert_eq!((record.number, record.version.as_str(), record.roles.len()), (42, "v1", 2));
    let freeze = state.freeze.unwrap();
    assert_eq!((freeze.actor.as_str(), freeze.message.as_str()), ("alice@laptop", "migrating the database"));
    assert_eq!(render_freeze(&freeze), GOLDEN_FREEZE);
}

#[test]
fn the_golden_report_is_read_and_written_as_ever() {
    let report = read_report(&FileSet::from([("report.json".to_string(), GOLDEN_REPORT.to_vec())])).unwrap();
    assert_eq!(String::from_utf8(render_report(&report)).unwrap(), String::from_utf8_lossy(GOLDEN_REPORT));
    assert_eq!(report.steps[1].log, ["starting", "port 80 is taken"]);
    let newer = String::from_utf8_lossy(GOLDEN_REPORT).replace("\"schema\": 1", "\"schema\": 2").into_bytes();
    assert_eq!(read_report(&FileSet::from([("report.json".to_string(), newer)])), None);
}

#[test]
fn a_bad_line_in_the_middle_is_named_and_the_others_are_kept() {
    let facts = all_facts();
    let bytes = [line(&facts[0]), b"{\"schema\":1} or what\n".to_vec(), line(&facts[1])].concat();
    let journal = parse(&bytes);
    assert_eq!(journal.entries, facts[..2]);
    let why = journal.unreadable.unwrap();
    assert!(why.starts_with("line 2 is not a journal entry: "), "{why}");
    assert!(!journal.newer_schema && !journal.torn);
}

#[test]
fn a_newer_schema_is_only_read() {
    let newer = format!("{{\"schema\":{},\"something\":\"else\"}}\n", SCHEMA + 1).into_bytes();
    let journal = parse(&[line(&all_facts()[0]), newer].concat());
    assert!(journal.newer_schema && journal.entries.len() == 1);
    assert_eq!(journal.unreadable, None);
}

#[test]
fn records_that_cannot_be_relied_on_are_named() {
    let newer = String::from_utf8_lossy(GOLDEN_RECORD).replace("\"schema\": 1", "\"schema\": 2");
    let other = "01JGZ3V8Q4N5X6Y7Z8A9B0C1D9";
    let files = FileSet::from([
        (format!("releases/{RUN}.json"), newer.into_bytes()),
        (format!("releases/{other}.json"), GOLDEN_RECORD.to_vec()),
        ("releases/half.json".to_string(), GOLDEN_RECORD[..100].to_vec()),
        ("releases/.tmp123".to_string(), b"{".to_vec()),
        ("key".to_string(), b"short".to_vec()),
        ("freeze".to_string(), b"?".to_vec()),
    ]);
    let state = read(&files);
    assert!(state.records.is_empty());
    let names = [RUN, other, "half"].map(|name| format!("releases/{name}.json"));
    assert_eq!((&state.bad_records[..], state.key), (&names[..], None));
    assert!(state.freeze.is_some(), "an unreadable lock is a lock");
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_without_panic(bytes: Vec<u8>, name in "[a-z/.]{0,20}") {
        parse(&bytes);
        let files = [format!("releases/{name}"), name, "key".into(), "freeze".into()].map(|path| (path, bytes.clone()));
        read(&FileSet::from(files));
    }

    #[test]
    fn damaged_journals_are_parsed_without_panic(at in 0..GOLDEN_JOURNAL.len(), byte: u8) {
        let mut bytes = GOLDEN_JOURNAL.to_vec();
        bytes[at] = byte;
        let journal = parse(&bytes);
        prop_assert!(journal.entries.len() >= all_facts().len() - 2, "one byte spoils two lines at most");
    }

    #[test]
    fn what_was_written_is_read(picks in prop::collection::vec(0..13usize, 0..20), reason in ".*") {
        let mut entries: Vec<_> = picks.iter().map(|n| all_facts()[*n].clone()).collect();
        entries.push(entry(Fact::Outcome { outcome: Outcome::Reverted, reason: Some(reason) }));
        let bytes = rendered(&entries);
        prop_assert_eq!(bytes.iter().filter(|b| **b == b'\n').count(), entries.len(), "one line each");
        prop_assert_eq!(parse(&bytes).entries, entries);
    }

    #[test]
    fn a_write_cut_off_anywhere_costs_its_own_line_and_no_other(cut in 0..GOLDEN_JOURNAL.len()) {
        let mut bytes = GOLDEN_JOURNAL[..cut].to_vec();
        let before = parse(&bytes);
        prop_assert_eq!(&before.unreadable, &None);
        prop_assert_eq!(&before.entries[..], &all_facts()[..before.entries.len()]);
        if bytes.last().is_some_and(|last| *last != b'\n') {
            bytes.push(b'\n');
        }
        let next = all_facts().remove(0);
        bytes.extend(line(&next));
        let after = parse(&bytes);
        prop_assert_eq!((&after.unreadable, after.torn), (&None, false));
        prop_assert_eq!(after.entries, [before.entries, vec![next]].concat());
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_keeps_what_was_written_and_is_given_what_it_missed() {
    let fleet = crate::sim::SimFleet::new().hosts(["host-1"]);
    let host = fleet.connector().connect(&"host-1".parse().unwrap()).await.unwrap().host;
    let dir = "/root/.windlass/app/_".to_string();
    let look = async || read(&host.read_dirs(std::slice::from_ref(&dir)).await.unwrap()[0]);
    assert_eq!(look().await, StateFiles::default(), "nothing is there yet");

    let record: ReleaseRecord = serde_json::from_slice(GOLDEN_RECORD).unwrap();
    let key = FingerprintKey::new(vec![7; FingerprintKey::LEN]).unwrap();
    let freeze: Freeze = serde_json::from_slice(GOLDEN_FREEZE).unwrap();
    host.make_dir(&format!("{dir}/releases")).await.unwrap();
    host.write(&record_path(&dir, &record.run), &render_record(&record), 0o600).await.unwrap();
    host.write(&key_path(&dir), key.bytes(), 0o600).await.unwrap();
    host.write(&freeze_path(&dir), &render_freeze(&freeze), 0o600).await.unwrap();
    let facts = all_facts();
    fleet.tear_next_append("host-1", &journal_path(&dir), 10);
    assert!(host.append(&journal_path(&dir), &line(&facts[0])).await.is_err());
    let here = look().await.journal;
    assert!(here.torn && here.entries.is_empty());

    let missing = missing_lines(&facts, &here);
    host.append(&journal_path(&dir), &rendered(&missing)).await.unwrap();
    let state = look().await;
    assert_eq!(
        state.journal.entries,
        [facts[0].clone(), facts[15].clone(), facts[10].clone()],
        "an intent, a mark and an outcome"
    );
    assert_eq!((state.journal.unreadable.as_deref(), state.journal.torn), (None, false));
    assert_eq!(
        (state.records.get(&record.run).map(|r| &**r), &state.key, &state.freeze),
        (Some(&record), &Some(key), &Some(freeze))
    );
    assert_eq!(missing_lines(&facts, &state.journal), []);
}
