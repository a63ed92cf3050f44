//! Tables of plain text with aligned columns.

/// A table: a title, the heads of the columns, rows with a name each.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: &str, heads: &[&str]) -> Self {
        let mut table = Self { rows: Vec::new() };
        table.row(title, heads.iter().map(ToString::to_string));
        table
    }

    pub(crate) fn row(&mut self, name: &str, cells: impl IntoIterator<Item = String>) {
        self.rows.push([name.to_owned()].into_iter().chain(cells).collect());
    }

    pub(crate) fn print(&self) {
        let width = |column| self.rows.iter().filter_map(|row| row.get(column)).map(String::len).max();
        println!();
        for row in &self.rows {
            let mut line = format!("{:1$}", row[0], width(0).unwrap_or(0));
            for (column, cell) in row.iter().enumerate().skip(1) {
                line += &format!("  {:>1$}", cell, width(column).unwrap_or(0));
            }
            println!("{}", line.trim_end());
        }
    }
}
