//! What the runtime socket answers: `show servers state` and `show stat`, read by the names of their columns, so that
//! a version with more or fewer of them is understood as well.

use crate::fleet::ServerRole;
use std::collections::BTreeMap;

const MAINT: u32 = 0x01 | 0x02;
const DRAIN: u32 = 0x08 | 0x10;
const CHECK_IN_PROGRESS: u32 = 0x1;

/// One server of a backend, from both tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) backend: String,
    /// `s1`, `s1-backup` …
    pub(super) name: String,
    /// The name it resolves: a container's 12-digit id.
    pub(super) fqdn: String,
    /// Without the port.
    pub(super) address: String,
    pub(super) port: u16,
    admin: u32,
    check_state: u32,
    /// Such as `UP`, `DRAIN 1/3`, `MAINT (resolution)`.
    pub(super) status: String,
    /// Such as `L7OK`, without the mark of a check in progress; empty before the first.
    pub(super) check_status: String,
    check_code: String,
    check_text: String,
    /// Requests in flight.
    pub(super) sessions: u64,
}

impl Row {
    /// Its administrative state. A name that does not resolve (`MAINT (resolution)`) is not one.
    pub(super) fn role(&self) -> ServerRole {
        match self.admin {
            admin if admin & MAINT != 0 => ServerRole::Maint,
            admin if admin & DRAIN != 0 => ServerRole::Drain,
            _ => ServerRole::Ready,
        }
    }

    /// Whether a check is on its way. Its answer would count for whatever the slot holds then.
    pub(super) fn is_checking(&self) -> bool {
        self.check_state & CHECK_IN_PROGRESS != 0
    }

    /// The verdict of the last check; `None` before the first.
    pub(super) fn last_check(&self) -> Option<bool> {
        match self.check_status.as_str() {
            "" | "INI" | "UNK" => None,
            status => Some(status.starts_with("L7OK")),
        }
    }

    /// Whether a check of what the slot holds now has succeeded. After `state maint` a slot shows the last answer of
    /// its previous occupant, but its status has a count (`DRAIN 1/3`) until the first check of the new one.
    pub(super) fn passed(&self) -> bool {
        ["DRAIN", "UP"].contains(&self.status.as_str()) && self.last_check() == Some(true)
    }

    /// HAProxy's words for the last check: `L7OK/200`, `L7STS/503 Service Unavailable`.
    pub(super) fn answer(&self) -> String {
        if self.last_check().is_none() {
            return if self.status.contains('(') { self.status.clone() } else { String::new() };
        }
        let mut answer = self.check_status.clone();
        if !self.check_code.is_empty() && self.check_code != "0" {
            answer += &format!("/{}", self.check_code);
        }
        if self.last_check() == Some(false) && !self.check_text.is_empty() {
            answer += &format!(" {}", self.check_text);
        }
        answer
    }
}

/// The servers in an answer to `show servers state …;show stat … 4 -1`, in the proxy's order. Servers that only one of
/// the tables has keep the other's defaults.
pub(super) fn rows(answer: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for record in records(answer) {
        let backend = record.get("be_name").or_else(|| record.get("pxname")).cloned().unwrap_or_default();
        let name = record.get("srv_name").or_else(|| record.get("svname")).cloned().unwrap_or_default();
        if name.is_empty() || name == "BACKEND" || name == "FRONTEND" {
            continue;
        }
        let index = rows.iter().position(|r| r.backend == backend && r.name == name).unwrap_or_else(|| {
            rows.push(Row { backend, name, ..Row::default() });
            rows.len() - 1
        });
        if let Some(row) = rows.get_mut(index) {
            take(row, &record);
        }
    }
    rows
}

fn take(row: &mut Row, record: &BTreeMap<String, String>) {
    let text = |column: &str| record.get(column).filter(|v| *v != "-").cloned();
    let number = |column: &str| record.get(column).and_then(|v| v.parse::<u64>().ok());
    if record.contains_key("srv_name") {
        row.fqdn = text("srv_fqdn").unwrap_or_default();
        row.address = text("srv_addr").unwrap_or_default();
        row.port = number("srv_port").and_then(|p| u16::try_from(p).ok()).unwrap_or_default();
        row.admin = number("srv_admin_state").and_then(|s| u32::try_from(s).ok()).unwrap_or_default();
        row.check_state = number("srv_check_state").and_then(|s| u32::try_from(s).ok()).unwrap_or_default();
    } else {
        row.status = text("status").unwrap_or_default();
        row.check_status = text("check_status").unwrap_or_default().trim_start_matches("* ").to_string();
        row.check_code = text("check_code").unwrap_or_default();
        let texts = [text("last_chk"), text("check_desc")];
        row.check_text = texts.into_iter().flatten().find(|t| !t.is_empty()).unwrap_or_default();
        row.sessions = number("scur").unwrap_or_default();
    }
}

/// The rows of all tables in an answer, by column. A table begins with `# ` and ends with an empty line.
fn records(answer: &str) -> Vec<BTreeMap<String, String>> {
    let mut columns: Option<(bool, Vec<String>)> = None;
    let mut records = Vec::new();
    for line in answer.lines() {
        let header = line.strip_prefix("# ").or_else(|| line.strip_prefix('#'));
        if let Some(header) = header {
            let comma = header.contains(',');
            columns = Some((comma, split(header, comma)));
        } else if line.trim().is_empty() {
            columns = None;
        } else if let Some((comma, columns)) = &columns {
            records.push(columns.iter().cloned().zip(split(line, *comma)).collect());
        }
    }
    records
}

fn split(line: &str, comma: bool) -> Vec<String> {
    if comma { csv(line) } else { line.split_whitespace().map(str::to_string).collect() }
}

/// A line of CSV: values with a comma or a quote are quoted, quotes in them doubled.
fn csv(line: &str) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quoted) {
            ('"', true) if chars.peek() == Some(&'"') => {
                chars.next();
                push(&mut values, '"');
            }
            ('"', _) => quoted = !quoted,
            (',', false) => values.push(String::new()),
            _ => push(&mut values, c),
        }
    }
    values
}

fn push(values: &mut [String], c: char) {
    if let Some(last) = values.last_mut() {
        last.push(c);
    }
}

/// Connections in use to each server (`s1` → n), from an answer to `show servers conn <backend>`.
pub(super) fn used_connections(answer: &str) -> BTreeMap<String, u64> {
    let server = |r: &BTreeMap<String, String>| {
        let name = r.get("bkname/svname")?.split_once('/')?.1.to_string();
        Some((name, r.get("used_cur")?.parse().ok()?))
    };
    records(answer).iter().filter_map(server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "\n1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_check_state srv_fqdn srv_port\n\
        4 demo-web 3 s2 127.0.1.1 2 76 7 aaaaaaaaaaaa 8000\n\n\
        # pxname,svname,scur,status,check_status,check_code,last_chk,new_column,\n\
        demo-web,s2,3,DRAIN 1/3,* L7OK,0,\"a, \"\"b\"\"\",x,\n\n";

    #[test]
    fn both_tables_make_one_row() {
        let rows = rows(ANSWER);
        assert_eq!(rows.len(), 1);
        let row = &rows[0];
        assert_eq!((row.fqdn.as_str(), row.address.as_str(), row.port), ("aaaaaaaaaaaa", "127.0.1.1", 8000));
        assert_eq!((row.role(), row.sessions, row.is_checking()), (ServerRole::Drain, 3, true));
        assert_eq!(row.check_text, "a, \"b\"");
        assert_eq!(row.answer(), "L7OK");
    }

    #[test]
    fn the_previous_occupants_answer_does_not_pass() {
        let row = &rows(ANSWER)[0];
        assert_eq!(row.last_check(), Some(true));
        assert!(!row.passed());
        let checked = rows(&ANSWER.replace("DRAIN 1/3", "DRAIN"));
        assert!(checked[0].passed());
        assert!(!rows(&ANSWER.replace("DRAIN 1/3", "DRAIN").replace("L7OK", "INI"))[0].passed());
    }

    #[test]
    fn an_unresolvable_name_is_not_an_administrative_state() {
        let row =
            rows(&ANSWER.replace(" 76 ", " 32 ").replace("DRAIN 1/3", "MAINT (resolution)").replace("* L7OK", ""));
        assert_eq!(row[0].role(), ServerRole::Ready);
        assert_eq!(row[0].answer(), "MAINT (resolution)");
    }

    #[test]
    fn missing_columns_are_no_panic() {
        assert!(rows("# be_name srv_name\nb s1\n\n# pxname,svname\nb,s1\n")[0].status.is_empty());
        assert!(rows("No such proxy.\n\n").is_empty());
        assert!(used_connections("# bkname/svname used_cur\nb/s1 2\nb/s2 x\n").get("s1") == Some(&2));
    }
}
