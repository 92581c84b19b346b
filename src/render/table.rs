//! Tables: columns aligned by two spaces, no borders, so that they can be read, copied and cut.

use comfy_table::{ContentArrangement, Table};

/// A table of text. Rows shorter than the header are filled up with nothing.
pub fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_string() + "\n").collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_blanks() {
        let rows = [["host-1".to_string(), "v2".to_string()], ["h".to_string(), String::new()]];
        insta::assert_snapshot!(super::table(["HOST", "VERSION"], rows), @"
        HOST    VERSION
        host-1  v2
        h
        ");
    }
}
